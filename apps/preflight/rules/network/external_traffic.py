"""NetworkPolicies against what leaves the cluster, and what comes in by Ingresses and routes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from preflight.cluster.objects import Obj
from preflight.cluster.workloads import Workload
from preflight.documents.paths import dig, list_at
from preflight.facts.addresses import Address, calls, service_of
from preflight.facts.network_policies import entries, isolating, meets_port, pod_port, policy_elsewhere
from preflight.facts.service_references import backends
from preflight.model import Model
from preflight.rules.network.addresses import together
from preflight.rules.network.network_policies import may_permit
from preflight.rules.registry import Violation, at, rule


@rule("outside-not-permitted", family="network", severity="error", outcome="never ready")
def outside_not_permitted(model: Model) -> Iterator[Violation]:
    """A call out of the cluster that the NetworkPolicies on the calling pods do not permit.

    Pods whose egress is isolated reach an address outside only by a rule without `to`, or one with an
    `ipBlock`, on that port. Which addresses a name has cannot be told here, so any block counts.

        KAFKA_BOOTSTRAP_SERVERS=broker.example.org:9094    # and no rule for port 9094
    """
    found = []
    for call in calls(model):
        address, client = call.address, call.container.workload
        outside = not address.is_local and not address.is_of_cluster and call.service is None
        policies = isolating(model, client, "egress")
        if not outside or not policies or any(_lets_out(client, address, each) for each in policies):
            continue
        elsewhere = policy_elsewhere(model, client, partial(_lets_out, client, address))
        found.append(
            (
                call,
                at(
                    call.part,
                    *call.path,
                    message=f"no NetworkPolicy permits egress to {address.host} on port {address.port}, "
                    f"which {call.variable} names{may_permit(elsewhere)}",
                    fix=f"permit egress to an ipBlock on port {address.port}",
                    severity="warning" if elsewhere else None,
                    outcome=call.outcome,
                ),
            )
        )
    yield from together(found)


def _lets_out(client: Workload, address: Address, policy: Obj) -> bool:
    """Whether a policy permits egress to an address outside; where `name.namespace` may be a Service that
    is not seen, to anything on that port."""
    may_be_inside = address.host.count(".") == 1
    return address.port is None or any(
        meets_port(entry, client, address.port, "TCP") and (may_be_inside or _leads_outside(entry))
        for _, entry in entries(policy, "egress")
    )


def _leads_outside(entry: dict[str, object]) -> bool:
    peers = list_at(entry, "to")
    return not peers or any(dig(peer, "ipBlock") is not None for peer in peers)


@rule("route-not-permitted", family="network", severity="error", outcome="ready but unreachable")
def route_not_permitted(model: Model) -> Iterator[Violation]:
    """An Ingress or Gateway route to pods that accept nothing from the controller.

    The controller's pods call from a namespace of their own. Pods whose ingress is isolated accept that only
    by a rule on that port without `from`, with a `namespaceSelector`, or with an `ipBlock`: else the route
    answers 504.

        ingress:
        - from:
          - podSelector: {matchLabels: {app: frontend}}    # and an Ingress leads here, too
    """
    seen = set()
    for backend in backends(model):
        service = service_of(model, f"{backend.name}.{backend.namespace}.svc", backend.namespace)
        if service is None or backend.outcome != "ready but unreachable" or backend.obj.kind == "APIService":
            continue
        for port in service.ports:
            if backend.port not in (None, port.get("port"), port.get("name")):
                continue
            for server in service.workloads:
                number = pod_port(port, server)
                key = (backend.obj.ref, id(server), number)
                policies = isolating(model, server, "ingress")
                if number is None or key in seen or not policies:
                    continue
                if any(_lets_in(server, number, each) for each in policies):
                    continue
                seen.add(key)
                elsewhere = policy_elsewhere(model, server, partial(_lets_in, server, number))
                yield at(
                    backend.obj,
                    *backend.path,
                    message=f"{server.name} accepts nothing from other namespaces on port {number}, "
                    f"where the controller calls from{may_permit(elsewhere)}",
                    fix=f"permit ingress from the controller's namespace on port {number}",
                    severity="warning" if elsewhere else None,
                )


def _lets_in(server: Workload, port: int, policy: Obj) -> bool:
    return any(
        meets_port(entry, server, port, "TCP") and _from_elsewhere(entry)
        for _, entry in entries(policy, "ingress")
    )


def _from_elsewhere(entry: dict[str, object]) -> bool:
    peers = list_at(entry, "from")
    return not peers or any(
        dig(peer, "ipBlock") is not None or dig(peer, "namespaceSelector") is not None for peer in peers
    )
