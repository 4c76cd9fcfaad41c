"""NetworkPolicies against what leaves the cluster, and what comes in by Ingresses and routes."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.cluster.workloads import Workload
from preflight.documents.paths import dig, list_at
from preflight.facts.addresses import calls, service_of
from preflight.facts.network_policies import entries, isolating, meets_port, pod_port
from preflight.facts.service_references import backends
from preflight.model import Model
from preflight.rules.network.addresses import together
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
        if not outside or address.port is None or _may_leave(model, client, address.port):
            continue
        found.append(
            (
                call,
                at(
                    call.part,
                    *call.path,
                    message=f"no NetworkPolicy permits egress to {address.host} on port {address.port}, "
                    f"which {call.variable} names",
                    fix=f"permit egress to an ipBlock on port {address.port}",
                    outcome=call.outcome,
                ),
            )
        )
    yield from together(found)


def _may_leave(model: Model, client: Workload, port: int) -> bool:
    policies = isolating(model, client, "egress")
    return not policies or any(
        meets_port(entry, client, port, "TCP") and _leads_outside(entry)
        for policy in policies
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
                if number is None or key in seen or _lets_in(model, server, number):
                    continue
                seen.add(key)
                yield at(
                    backend.obj,
                    *backend.path,
                    message=f"{server.name} accepts nothing from other namespaces on port {number}, "
                    "where the controller calls from",
                    fix=f"permit ingress from the controller's namespace on port {number}",
                )


def _lets_in(model: Model, server: Workload, port: int) -> bool:
    policies = isolating(model, server, "ingress")
    return not policies or any(
        meets_port(entry, server, port, "TCP") and _from_elsewhere(entry)
        for policy in policies
        for _, entry in entries(policy, "ingress")
    )


def _from_elsewhere(entry: dict[str, object]) -> bool:
    peers = list_at(entry, "from")
    return not peers or any(
        dig(peer, "ipBlock") is not None or dig(peer, "namespaceSelector") is not None for peer in peers
    )
