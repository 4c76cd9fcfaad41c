"""NetworkPolicies: whether the traffic that the settings ask for is permitted, both ways, DNS included."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import msgspec

from preflight.cluster.objects import Located, Obj, selects
from preflight.cluster.workloads import Workload
from preflight.documents.paths import Step, dig, list_at
from preflight.facts.addresses import Call, calls
from preflight.facts.network_policies import (
    Direction,
    entries,
    isolating,
    meets_peer,
    meets_port,
    opens_dns,
    permits,
    permits_dns,
    permitted,
    pod_port,
    policy_elsewhere,
)
from preflight.findings import Place
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import hint, listed, near


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """Traffic that a setting asks for: from a workload's pods to a port of another's."""

    call: Call
    client: Workload
    server: Workload
    port: int
    protocol: str


def edges(model: Model) -> Iterator[Edge]:
    """The traffic behind every address that means a Service, each pair of workloads and port once."""
    seen = set()
    for call in calls(model):
        client = call.container.workload
        for server in call.service.workloads if call.service is not None else ():
            for port in call.service.ports if call.service is not None else ():
                number = pod_port(port, server)
                key = (id(client), id(server), number)
                only = call.address.port is None and len(call.service.ports if call.service else ()) == 1
                wanted = only or call.address.port in (port.get("port"), number)
                if number is not None and wanted and server is not client and key not in seen:
                    seen.add(key)
                    protocol = str(port.get("protocol", "TCP"))
                    yield Edge(call=call, client=client, server=server, port=number, protocol=protocol)


@rule("egress-not-permitted", family="network", severity="error", outcome="never ready")
def egress_not_permitted(model: Model) -> Iterator[Violation]:
    """A call that the NetworkPolicies on the calling pods do not permit.

    A pod that any policy of type Egress selects may send only what some policy permits; the port that counts
    is the pods', not the Service's. The connection runs into a timeout. Reported at the rule that permits the
    same peer or the same port, else at the labels of the calling pods.

        labels:
          app: indexer                 # without kafka-client: "true", which the policy selects
    """
    cut = [
        edge
        for edge in edges(model)
        if not permitted(model, edge.client, "egress", edge.server, edge.port, edge.protocol)
    ]
    yield from _reported(model, cut, "egress")


@rule("ingress-not-permitted", family="network", severity="error", outcome="never ready")
def ingress_not_permitted(model: Model) -> Iterator[Violation]:
    """A call that the NetworkPolicies on the called pods do not permit.

    A pod that any policy of type Ingress selects may be called only by whom some policy permits. The
    connection runs into a timeout. What egress rules cut already is reported there.

        ingress:
        - from:
          - podSelector:
              matchLabels:
                app: resonance         # and the indexer calls this pod, too
    """
    cut = [
        edge
        for edge in edges(model)
        if permitted(model, edge.client, "egress", edge.server, edge.port, edge.protocol)
        and not permitted(model, edge.server, "ingress", edge.client, edge.port, edge.protocol)
    ]
    yield from _reported(model, cut, "ingress")


def _reported(model: Model, cut: list[Edge], direction: Direction) -> Iterator[Violation]:
    """One finding for all clients that the same edit would help."""
    groups: dict[tuple[Place, str, int], list[Edge]] = {}
    for edge in cut:
        part, path = _nearest(model, edge, direction)
        place = part.obj.where(*part.path, *path)
        groups.setdefault((place, edge.server.name, edge.port), []).append(edge)
    for (_, server, port), group in groups.items():
        part, path = _nearest(model, group[0], direction)
        clients = listed(edge.client.name for edge in group)
        here = group[0].client if direction == "egress" else group[0].server
        policies = listed(f"NetworkPolicy {policy.name}" for policy in isolating(model, here, direction))
        outcomes = [edge.call.outcome for edge in group]
        elsewhere = policy_elsewhere(model, here, partial(_opens, model, group, direction))
        yield at(
            part,
            *path,
            message=f"{clients} may not reach {server} on port {port}, which "
            f"{listed(edge.call.variable for edge in group)} asks for: {policies} of {here.name}'s pods "
            f"{'permits' if policies.count('NetworkPolicy') == 1 else 'permit'} no such {direction}"
            + may_permit(elsewhere),
            severity="warning" if elsewhere else None,
            fix=f"permit {direction} {'to' if direction == 'egress' else 'from'} "
            f"{server if direction == 'egress' else clients} on port {port}"
            + (", or give the pods the label that a policy selects" if part is group[0].client.obj else ""),
            outcome="never ready" if "never ready" in outcomes else outcomes[0],
        )


def _opens(model: Model, edges: list[Edge], direction: Direction, policy: Obj) -> bool:
    """Whether a policy on one end of these edges lets all of them pass."""
    ends = [(e.client, e.server) if direction == "egress" else (e.server, e.client) for e in edges]
    return all(
        permits(model, policy, here, direction, there, edge.port, edge.protocol)
        for edge, (here, there) in zip(edges, ends, strict=True)
    )


def may_permit(elsewhere: str) -> str:
    """The clause that names a policy of another part of the repository, where there is one."""
    return f"; {elsewhere} may, which is not part of this render" if elsewhere else ""


def _nearest(model: Model, edge: Edge, direction: Direction) -> tuple[Located, tuple[Step, ...]]:
    """Where to edit: a rule that has the peer and another port, one that has the port and other peers, else
    the pods' labels (egress) or the first policy in force (ingress)."""
    here, there = (edge.client, edge.server) if direction == "egress" else (edge.server, edge.client)
    policies = isolating(model, here, direction)
    peers = "to" if direction == "egress" else "from"
    pods = [
        (policy, index, entry)
        for policy in policies
        for index, entry in entries(policy, direction)
        if any(dig(peer, "podSelector") is not None for peer in list_at(entry, peers))
    ]
    for policy, index, entry in pods:
        if meets_peer(model, policy, entry, direction, there):
            return policy, ("spec", direction, index, "ports")
    for policy, index, entry in pods:
        if meets_port(entry, edge.server, edge.port, edge.protocol):
            return policy, ("spec", direction, index, peers)
    if direction == "egress":
        return here.obj, (*here.template, "metadata", "labels")
    return policies[0], ("spec", "podSelector")


@rule("dns-not-permitted", family="network", severity="error", outcome="never ready")
def dns_not_permitted(model: Model) -> Iterator[Violation]:
    """A pod that calls by name and may not ask the cluster's DNS.

    Isolating a pod's egress cuts DNS as well: it wants UDP on port 53 to kube-system, and TCP for long
    answers. Every name then fails to resolve, mostly after seconds.

        egress:
        - to:
          - podSelector: {matchLabels: {app: kafka}}    # and nothing for DNS
    """
    seen = set()
    for call in calls(model):
        client = call.container.workload
        named = not call.address.is_numeric and not call.address.is_local
        if named and id(client) not in seen and not permits_dns(model, client):
            seen.add(id(client))
            policies = isolating(model, client, "egress")
            elsewhere = policy_elsewhere(model, client, partial(opens_dns, model))
            yield at(
                client.obj,
                *client.template,
                "metadata",
                "labels",
                message=f"{client.name} may not ask the cluster's DNS for {call.address.host}, which "
                f"{call.variable} names: "
                f"{listed(f'NetworkPolicy {policy.name}' for policy in policies)} isolates its egress"
                + may_permit(elsewhere),
                severity="warning" if elsewhere else None,
                fix="permit egress to namespace kube-system on port 53, UDP and TCP",
                outcome=call.outcome,
            )


ALWAYS_THERE = ("default", "kube-node-lease", "kube-public", "kube-system")


@rule("namespace-label-unset", family="network", severity="warning", outcome="ready but silent")
def namespace_label_unset(model: Model) -> Iterator[Violation]:
    """A NetworkPolicy that knows a namespace by the label `name`, which nothing sets.

    Kubernetes labels every namespace with `kubernetes.io/metadata.name` and none with `name`: unless somebody
    has labelled kube-system by hand, the rule for DNS permits nothing, and no name resolves. The same holds
    for a namespace of the render without that label.

        namespaceSelector: {matchLabels: {name: kube-system}}    # kubernetes.io/metadata.name: kube-system
    """
    for policy in model.objects_of("NetworkPolicy"):
        for pattern in ("spec.ingress.*.from.*", "spec.egress.*.to.*"):
            by_expression = (
                expression.field("values", 0)
                for expression in policy.fields(f"{pattern}.namespaceSelector.matchExpressions.*")
                if (expression.get("key"), expression.get("operator")) == ("name", "In")
                and len(expression.items("values")) == 1
            )
            for field in (*policy.fields(f"{pattern}.namespaceSelector.matchLabels.name"), *by_expression):
                name = field.doc
                namespace = model.find("Namespace", "", str(name))
                labelled = any(each.labels.get("name") == name for each in model.objects_of("Namespace"))
                if labelled or (namespace is None and name not in ALWAYS_THERE):
                    continue
                yield at(
                    field,
                    message=f"no namespace has the label name: {name} by itself",
                    fix=f"write kubernetes.io/metadata.name: {name}",
                )


@rule("policy-port-name-missing", family="network", severity="error", outcome="ready but unreachable")
def policy_port_name_missing(model: Model) -> Iterator[Violation]:
    """A NetworkPolicy's port by a name that no container of the pods it is about gives to a port.

    The rule permits nothing, silently. For ingress the pods are those the policy selects; for egress those it
    permits calls to.

        ports:
        - port: metrics                # the containers' port is called health
    """
    for policy in model.objects_of("NetworkPolicy"):
        for direction in ("ingress", "egress"):
            for index, entry in enumerate(policy.items("spec", direction)):
                pods = _about(model, policy, direction, entry)
                names = {
                    str(port.get("name")) for pod in pods for each in pod.containers for port in each.ports
                }
                for number, port in enumerate(list_at(entry, "ports")):
                    name = dig(port, "port")
                    if isinstance(name, str) and pods and name not in names:
                        meant = near(name, names)
                        yield at(
                            policy,
                            "spec",
                            direction,
                            index,
                            "ports",
                            number,
                            "port",
                            message=f"no container of {listed(pod.name for pod in pods)} calls a port {name}"
                            + hint(meant),
                            fix=f"write {meant}" if meant else "write a name they have, or the number",
                            outcome="ready but silent" if direction == "egress" else None,
                        )


def _about(model: Model, policy: Obj, direction: str, entry: object) -> list[Workload]:
    """The workloads whose ports a rule means; none where they cannot all be told."""
    own = [each for each in model.workloads if each.namespace == policy.namespace]
    if direction == "ingress":
        selector = policy.get("spec", "podSelector", default={})
        return [each for each in own if selects(selector, each.labels)]
    peers = list_at(entry, "to")
    if not peers or any(not isinstance(peer, dict) or set(peer) != {"podSelector"} for peer in peers):
        return []
    return [each for each in own if any(selects(peer["podSelector"], each.labels) for peer in peers)]
