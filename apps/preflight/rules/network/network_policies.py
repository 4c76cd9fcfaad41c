"""NetworkPolicies: whether the traffic that the settings ask for is permitted, both ways, DNS included."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import msgspec

from preflight.cluster.objects import Field, Obj
from preflight.cluster.workloads import Workload
from preflight.documents.paths import dig
from preflight.facts.addresses import Address, Call, calls
from preflight.facts.network_policies import (
    Direction,
    are_apart,
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
from preflight.facts.service_references import backends
from preflight.findings import Place
from preflight.model import Model
from preflight.rules.network.addresses import together
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import listed


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
    same peer or the same port, else at the labels of the calling pods. An address outside the cluster is
    reached only by a rule without `to`, or one with an `ipBlock`, on that port; any block counts.

        labels:
          app: indexer                 # without kafka-client: "true", which the policy selects
    """
    cut = [edge for edge in edges(model) if not _sends(model, edge)]
    yield from _reported(model, cut, "egress")
    yield from together(model, _kept_inside)


def _sends(model: Model, edge: Edge) -> bool:
    return permitted(model, edge.client, "egress", edge.server, edge.port, edge.protocol)


def _kept_inside(model: Model, call: Call) -> Violation | None:
    address = call.address
    outside = not address.is_local and not address.is_of_cluster and call.service is None
    if not outside or address.port is None:
        return None
    client = call.container.workload
    lets_out = partial(_lets_out, client, address, address.port)
    policies = isolating(model, client, "egress")
    if not policies or any(map(lets_out, policies)):
        return None
    elsewhere = policy_elsewhere(model, client, lets_out)
    return at(
        call.written,
        message=f"no NetworkPolicy permits egress to {address.host} on port {address.port}, "
        f"which {call.variable} names{_may_permit(elsewhere)}",
        fix=f"permit egress to an ipBlock on port {address.port}",
        severity="warning" if elsewhere or are_apart(model, client, policies, "egress") else None,
        outcome=call.outcome,
    )


def _lets_out(client: Workload, address: Address, port: int, policy: Obj) -> bool:
    """Whether a policy permits egress to an address outside; where `name.namespace` may be a Service that
    is not seen, to anything on that port."""
    may_be_inside = address.host.count(".") == 1
    return any(
        may_be_inside or _has_peer(entry, "to", ("ipBlock",))
        for entry in entries(policy, "egress")
        if meets_port(entry, client, port, "TCP")
    )


def _lets_in(server: Workload, port: int, policy: Obj) -> bool:
    """Whether a policy permits ingress from namespaces that are not seen."""
    return any(
        _has_peer(entry, "from", ("ipBlock", "namespaceSelector"))
        for entry in entries(policy, "ingress")
        if meets_port(entry, server, port, "TCP")
    )


def _has_peer(entry: Field, peers: str, ways: tuple[str, ...]) -> bool:
    """Whether a rule names no peers, or one in one of these ways."""
    named = entry.items(peers)
    return not named or any(dig(peer, way) is not None for peer in named for way in ways)


def _may_permit(elsewhere: str) -> str:
    """The clause that names a policy of another part of the repository, where there is one."""
    return f"; {elsewhere} may, which is not part of this render" if elsewhere else ""


@rule("ingress-not-permitted", family="network", severity="error", outcome="never ready")
def ingress_not_permitted(model: Model) -> Iterator[Violation]:
    """A call, or a route's traffic, that the NetworkPolicies on the called pods do not permit.

    A pod that any policy of type Ingress selects may be called only by whom some policy permits. The
    connection runs into a timeout. What egress rules cut already is reported there. The controller of an
    Ingress or Gateway route calls from a namespace of its own: it needs a rule without `from`, with a
    `namespaceSelector`, or with an `ipBlock`, else the route answers 504.

        ingress:
        - from:
          - podSelector:
              matchLabels:
                app: resonance         # and the indexer calls this pod, too
    """
    cut = [
        edge
        for edge in edges(model)
        if _sends(model, edge)
        and not permitted(model, edge.server, "ingress", edge.client, edge.port, edge.protocol)
    ]
    yield from _reported(model, cut, "ingress")
    yield from _routes(model)


def _routes(model: Model) -> Iterator[Violation]:
    seen = set()
    for backend in backends(model):
        service = model.service_at(f"{backend.name}.{backend.namespace}.svc", backend.namespace)
        if service is None or backend.outcome != "ready but unreachable" or backend.obj.kind == "APIService":
            continue
        for port in service.ports:
            if backend.port not in (None, port.get("port"), port.get("name")):
                continue
            for server in service.workloads:
                number = pod_port(port, server)
                key = (backend.obj.ref, id(server), number)
                if number is None or key in seen:
                    continue
                seen.add(key)
                lets_in = partial(_lets_in, server, number)
                policies = isolating(model, server, "ingress")
                if policies and not any(map(lets_in, policies)):
                    elsewhere = policy_elsewhere(model, server, lets_in)
                    yield at(
                        backend.obj.field(*backend.path),
                        message=f"{server.name} accepts nothing from other namespaces on port {number}, "
                        f"where the controller calls from{_may_permit(elsewhere)}",
                        fix=f"permit ingress from the controller's namespace on port {number}",
                        severity="warning"
                        if elsewhere or are_apart(model, server, policies, "ingress")
                        else None,
                        outcome="ready but unreachable",
                    )


def _reported(model: Model, cut: list[Edge], direction: Direction) -> Iterator[Violation]:
    """One finding for all clients that the same edit would help."""
    groups: dict[tuple[Place, str, int], list[Edge]] = {}
    for edge in cut:
        place = _nearest(model, edge, direction).where()
        groups.setdefault((place, edge.server.name, edge.port), []).append(edge)
    for (_, server, port), group in groups.items():
        field = _nearest(model, group[0], direction)
        clients = listed(edge.client.name for edge in group)
        here = group[0].client if direction == "egress" else group[0].server
        isolated = isolating(model, here, direction)
        policies = listed(f"NetworkPolicy {policy.name}" for policy in isolated)
        outcomes = [edge.call.outcome for edge in group]
        elsewhere = policy_elsewhere(model, here, partial(_opens, model, group, direction))
        yield at(
            field,
            message=f"{clients} may not reach {server} on port {port}, which "
            f"{listed(edge.call.variable for edge in group)} asks for: {policies} of {here.name}'s pods "
            f"{'permits' if policies.count('NetworkPolicy') == 1 else 'permit'} no such {direction}"
            + _may_permit(elsewhere),
            severity="warning" if elsewhere or are_apart(model, here, isolated, direction) else None,
            fix=f"permit {direction} {'to' if direction == 'egress' else 'from'} "
            f"{server if direction == 'egress' else clients} on port {port}"
            + (
                ", or give the pods the label that a policy selects"
                if field.obj is group[0].client.obj
                else ""
            ),
            outcome="never ready" if "never ready" in outcomes else outcomes[0],
        )


def _opens(model: Model, edges: list[Edge], direction: Direction, policy: Obj) -> bool:
    """Whether a policy on one end of these edges lets all of them pass."""
    ends = [(e.client, e.server) if direction == "egress" else (e.server, e.client) for e in edges]
    return all(
        permits(model, policy, here, direction, there, edge.port, edge.protocol)
        for edge, (here, there) in zip(edges, ends, strict=True)
    )


def _nearest(model: Model, edge: Edge, direction: Direction) -> Field:
    """Where to edit: a rule that has the peer and another port, one that has the port and other peers, else
    the pods' labels (egress) or the first policy in force (ingress)."""
    here, there = (edge.client, edge.server) if direction == "egress" else (edge.server, edge.client)
    policies = isolating(model, here, direction)
    peers = "to" if direction == "egress" else "from"
    rules = [entry for policy in policies for entry in entries(policy, direction)]
    pods = [entry for entry in rules if any(entry.fields(f"{peers}.*.podSelector"))]
    for entry in pods:
        if meets_peer(model, entry, direction, there):
            return entry.field("ports")
    for entry in pods:
        if meets_port(entry, edge.server, edge.port, edge.protocol):
            return entry.field(peers)
    if direction == "egress":
        return here.obj.field(*here.template, "metadata", "labels")
    return policies[0].field("spec", "podSelector")


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
                client.obj.field(*client.template, "metadata", "labels"),
                message=f"{client.name} may not ask the cluster's DNS for {call.address.host}, which "
                f"{call.variable} names: "
                f"{listed(f'NetworkPolicy {policy.name}' for policy in policies)} isolates its egress"
                + _may_permit(elsewhere),
                severity="warning" if elsewhere or are_apart(model, client, policies, "egress") else None,
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
