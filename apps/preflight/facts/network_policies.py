"""NetworkPolicies: whether traffic between two workloads of the render is permitted.

Where it cannot be told from the render (namespaces whose labels are not in it, address blocks, other kinds of
policies), the answer is yes: only what is surely cut is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from preflight.cluster.objects import Field, Obj, selects
from preflight.cluster.workloads import Workload
from preflight.documents.paths import dig, mapping
from preflight.facts.existence import are_applied_together, is_beside
from preflight.facts.ports import target
from preflight.facts.selectors import equals, nearly, pods_of
from preflight.model import Model

Direction = Literal["ingress", "egress"]
NAME_LABEL = "kubernetes.io/metadata.name"
DNS_NAMESPACES = ("kube-system", "openshift-dns")
OTHER_POLICIES = (
    "AdminNetworkPolicy",
    "BaselineAdminNetworkPolicy",
    "CiliumClusterwideNetworkPolicy",
    "CiliumNetworkPolicy",
    "ClusterNetworkPolicy",
    "GlobalNetworkPolicy",
)
"""Kinds that may permit what NetworkPolicies do not."""


def isolating(model: Model, workload: Workload, direction: Direction) -> list[Obj]:
    """The policies that make the workload's pods accept (or send) only what is permitted; none: all is."""
    if workload.get("hostNetwork") is True or model.objects_of(*OTHER_POLICIES):
        return []
    return [
        policy
        for policy in model.objects_of("NetworkPolicy")
        if policy.group == "networking.k8s.io"
        and policy.namespace == workload.namespace
        and direction in _directions(policy)
        and selects(policy.get("spec", "podSelector", default={}), workload.labels)
    ]


def policy_elsewhere(model: Model, workload: Workload, permits: Callable[[Obj], bool]) -> str:
    """The place of a policy in another part of the repository that is about the workload's pods too and
    permits what those of the render do not; empty where there is none."""
    own = {obj.origin for obj in model.objects}
    for path, node in model.checkout.objects_of("NetworkPolicy", *OTHER_POLICIES):
        plain = node.plain()
        doc = plain if isinstance(plain, dict) else {}
        policy = Obj({**doc, "metadata": {"namespace": workload.namespace}}, None, node.place)
        spaces = model.checkout.namespaces(path, node.text("metadata", "namespace"))
        is_about = policy.kind != "NetworkPolicy" or (
            bool(spaces & {workload.namespace, ""})
            and selects(policy.get("spec", "podSelector", default={}), workload.labels)
            and permits(policy)
        )
        if is_about and node.place not in own and is_beside(model, path):
            return f"{node.file}:{node.line}"
    return ""


def are_apart(model: Model, workload: Workload, policies: list[Obj], direction: Direction) -> bool:
    """Whether only policies that deny all pods all of this traffic isolate the workload, from other files of
    a folder of loose manifests: each file may be applied without the others."""
    return all(
        not policy.get("spec", "podSelector")
        and not policy.items("spec", direction)
        and not are_applied_together(model, policy, workload.obj)
        for policy in policies
    )


def _directions(policy: Obj) -> list[str]:
    types = [str(each).lower() for each in policy.items("spec", "policyTypes")]
    return types or (["ingress", "egress"] if policy.items("spec", "egress") else ["ingress"])


def permitted(
    model: Model, workload: Workload, direction: Direction, peer: Workload, port: int, protocol: str = "TCP"
) -> bool:
    """Whether the policies on `workload` let it exchange traffic with `peer`; `port` is the server's."""
    policies = isolating(model, workload, direction)
    return not policies or any(
        permits(model, policy, workload, direction, peer, port, protocol) for policy in policies
    )


def permits(
    model: Model,
    policy: Obj,
    workload: Workload,
    direction: Direction,
    peer: Workload,
    port: int,
    protocol: str = "TCP",
) -> bool:
    """Whether one policy that selects `workload` lets it exchange that traffic."""
    server = workload if direction == "ingress" else peer
    return any(
        meets_port(entry, server, port, protocol) and meets_peer(model, entry, direction, peer)
        for entry in entries(policy, direction)
    )


def entries(policy: Obj, direction: Direction) -> Iterator[Field]:
    """The rules of one direction; an empty one permits all."""
    for index in range(len(policy.items("spec", direction))):
        yield policy.field("spec", direction, index)


def meets_port(entry: Field, server: Workload, port: int, protocol: str) -> bool:
    """Whether a rule's ports include a port of the server's pods; a name they do not have counts as a yes,
    since that is a finding of its own."""
    ports = entry.items("ports")
    return not ports or any(_is_port(mapping(each), server, port, protocol) for each in ports)


def _is_port(wanted: dict[str, Any], server: Workload, port: int, protocol: str) -> bool:
    if str(wanted.get("protocol", "TCP")) != protocol:
        return False
    number, last = wanted.get("port"), wanted.get("endPort")
    if number is None:
        return True
    if isinstance(number, str):
        numbers = {container.port(number) for container in server.containers} - {None}
        return port in numbers or not numbers
    return isinstance(number, int) and number <= port <= (last if isinstance(last, int) else number)


def meets_peer(model: Model, entry: Field, direction: Direction, peer: Workload) -> bool:
    """Whether a rule's peers include the pods of a workload; where that cannot be told, they do."""
    peers = entry.items("from" if direction == "ingress" else "to")
    return not peers or any(
        _is_peer(model, entry.obj, each, peer) for each in peers if isinstance(each, dict)
    )


def _is_peer(model: Model, policy: Obj, wanted: dict[str, Any], peer: Workload) -> bool:
    if "ipBlock" in wanted:
        return str(dig(wanted, "ipBlock", "cidr")).startswith(("0.0.0.0/", "::/", "10.", "172.", "192.168."))
    spaces, pods = wanted.get("namespaceSelector"), wanted.get("podSelector")
    if spaces is None and peer.namespace != policy.namespace:
        return False
    if spaces is not None and not selects_namespace(model, spaces, peer.namespace):
        return False
    if pods is None or selects(pods, peer.labels):
        return True
    pairs = equals(pods)
    return pairs is not None and nearly(pairs, pods_of(model, None)) is not None


def selects_namespace(model: Model, selector: object, namespace: str) -> bool:
    """Whether a namespaceSelector selects a namespace; labels that are not in the render may be there."""
    found = model.find("Namespace", "", namespace)
    labels = {**(found.labels if found is not None else {}), NAME_LABEL: namespace}
    if selects(selector, labels):
        return True
    if found is not None:
        return False
    pairs = equals(selector)
    return pairs is None or pairs.get(NAME_LABEL, namespace) == namespace


def permits_dns(model: Model, workload: Workload) -> bool:
    """Whether the workload's pods may ask the cluster's DNS for names, by UDP on port 53."""
    policies = isolating(model, workload, "egress")
    return not policies or any(opens_dns(model, policy) for policy in policies)


def opens_dns(model: Model, policy: Obj) -> bool:
    """Whether one policy lets the pods it selects ask the cluster's DNS."""
    return any(_asks_dns(entry) and _reaches_dns(model, entry) for entry in entries(policy, "egress"))


def _asks_dns(entry: Field) -> bool:
    ports = entry.items("ports")
    for each in ports:
        number, last = dig(each, "port", default=53), dig(each, "endPort")
        named = isinstance(number, str)
        within = isinstance(number, int) and number <= 53 <= (last if isinstance(last, int) else number)
        # 5353 and 1053 are where some distributions' DNS pods listen
        if dig(each, "protocol", default="TCP") == "UDP" and (named or within or number in (5353, 1053)):
            return True
    return not ports


def _reaches_dns(model: Model, entry: Field) -> bool:
    peers = entry.items("to")
    for each in peers:
        spaces = dig(each, "namespaceSelector")
        if dig(each, "ipBlock") is not None:
            return True
        if spaces is None and entry.obj.namespace in DNS_NAMESPACES:
            return True
        if spaces is not None and any(selects_namespace(model, spaces, name) for name in DNS_NAMESPACES):
            return True
    return not peers


def pod_port(port: Mapping[str, object], server: Workload) -> int | None:
    """The port of a workload's pods that an item of a Service's `ports` leads to; None where undeclared."""
    numbers = [each.port(target(port)) for each in server.containers]
    return next((number for number in numbers if number is not None), None)
