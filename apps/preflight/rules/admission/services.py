"""What the API server refuses in Services, Ingresses and NetworkPolicies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from preflight.cluster.objects import Obj
from preflight.cluster.services import Service
from preflight.model import Model
from preflight.rules.admission.names import LABEL
from preflight.rules.fields import mapping, whole
from preflight.rules.registry import Violation, at, rule


@rule("invalid-service", family="admission", severity="error", outcome="rejected by the API server")
def invalid_service(model: Model) -> Iterator[Violation]:
    """A Service whose fields exclude each other, or lack what its type wants.

    Ports need names where there are several, and differ in number or protocol; a headless Service has no node
    port and is no LoadBalancer; an ExternalName Service names a DNS name.

        ports:
        - port: 80
        - port: 443      # both need a name
    """
    for service in model.services:
        kind = service.obj.get("spec", "type", default="ClusterIP")
        yield from _ports(service)
        if kind == "ExternalName":
            name = service.obj.get("spec", "externalName")
            if not is_dns_name(name):
                yield at(
                    service,
                    "spec",
                    "externalName",
                    message=f"{name!r} is no DNS name" if name else "an ExternalName Service names none",
                    fix="write a DNS name without scheme and port",
                )
        elif not service.ports and not service.headless:
            yield at(service, "spec", "ports", message="no port", fix="give it at least one")
        if service.headless and kind in ("NodePort", "LoadBalancer"):
            yield at(
                service,
                "spec",
                "clusterIP",
                message=f"None, and the type is {kind}",
                fix="remove clusterIP, or the type",
            )
        policy = service.obj.get("spec", "externalTrafficPolicy")
        if (
            policy
            and kind not in ("NodePort", "LoadBalancer")
            and not service.obj.items("spec", "externalIPs")
        ):
            yield at(
                service,
                "spec",
                "externalTrafficPolicy",
                message=f"only of NodePort and LoadBalancer Services, this is a {kind}",
                fix="remove it",
            )


def _ports(service: Service) -> Iterator[Violation]:
    names: set[str] = set()
    numbers: set[tuple[str, str]] = set()
    kind = service.obj.get("spec", "type", default="ClusterIP")
    for index, port in enumerate(service.obj.items("spec", "ports")):
        port = mapping(port)
        name, number = port.get("name"), (str(port.get("port")), str(port.get("protocol") or "TCP"))
        if not name and len(service.ports) > 1:
            yield at(
                service,
                "spec",
                "ports",
                index,
                message=f"port {number[0]} has no name, and there are several ports",
                fix="give each port a name",
            )
        elif isinstance(name, str) and (name in names or len(name) > 63 or not LABEL.fullmatch(name)):
            problem = "a second port" if name in names else "lower-case letters, digits and dashes:"
            yield at(
                service, "spec", "ports", index, "name", message=f"{problem} {name}", fix="write another name"
            )
        if number in numbers:
            yield at(
                service,
                "spec",
                "ports",
                index,
                "port",
                message=f"a second port {number[0]}/{number[1]}",
                fix="remove one of them",
            )
        if port.get("nodePort") and kind == "ClusterIP":
            yield at(
                service,
                "spec",
                "ports",
                index,
                "nodePort",
                message="a ClusterIP Service has none",
                fix="say type: NodePort, or remove it",
            )
        names.add(str(name))
        numbers.add(number)


def is_dns_name(name: object) -> bool:
    """Whether it is a DNS name, as ExternalName Services and Ingress hosts want one."""
    return isinstance(name, str) and all(LABEL.fullmatch(each) for each in name.rstrip(".").split("."))


@rule("invalid-ingress", family="admission", severity="error", outcome="rejected by the API server")
def invalid_ingress(model: Model) -> Iterator[Violation]:
    """An Ingress with a host that is no DNS name, a path that does not start with /, or a backend of two
    kinds.

        rules:
        - host: https://example.org:8080      # example.org
    """
    for obj in model.objects_of("Ingress"):
        if obj.group != "networking.k8s.io":
            continue
        if not obj.items("spec", "rules") and obj.get("spec", "defaultBackend") is None:
            yield at(obj, "spec", message="neither rules nor a default backend", fix="give one of them")
        for index, each in enumerate(obj.items("spec", "rules")):
            host = mapping(each).get("host")
            bare = host.removeprefix("*.") if isinstance(host, str) else ""
            numeric = all(part.isdecimal() for part in bare.split("."))
            if isinstance(host, str) and host and (numeric or not is_dns_name(bare)):
                better = re.sub(r"^\w+://|[:/].*$", "", host)
                yield at(
                    obj,
                    "spec",
                    "rules",
                    index,
                    "host",
                    message=f"{host!r} is no DNS name",
                    fix=f"write {better}",
                )
            yield from _ingress_paths(obj, index, mapping(each))


def _ingress_paths(obj: Obj, index: int, each: dict[str, Any]) -> Iterator[Violation]:
    paths = mapping(each.get("http")).get("paths")
    for number, item in enumerate(paths if isinstance(paths, list) else []):
        place = ("spec", "rules", index, "http", "paths", number)
        path, backend = mapping(item).get("path"), mapping(mapping(item).get("backend"))
        exact = mapping(item).get("pathType") in ("Exact", "Prefix")
        path = path if isinstance(path, str) else "/"
        wrong = not path.startswith("/") or (exact and "//" in path)
        if wrong and (path or exact):
            yield at(
                obj,
                *place,
                "path",
                message=f"{path!r} must start with one /",
                fix=f"write /{path.strip('/')}",
            )
        service = mapping(backend.get("service"))
        port = mapping(service.get("port"))
        if service and (port.get("name") is None) == (port.get("number") is None):
            yield at(
                obj,
                *place,
                "backend",
                "service",
                message="wants a port by name or by number, one of the two",
                fix="write port: {number: 80}",
            )


@rule("invalid-policy", family="admission", severity="error", outcome="rejected by the API server")
def invalid_policy(model: Model) -> Iterator[Violation]:
    """A NetworkPolicy peer that is a block of addresses and a selector at once, or an empty range of ports.

    To allow either, write two items.

        from:
        - ipBlock: {cidr: 10.0.0.0/8}
          podSelector: {}
    """
    for obj in model.objects_of("NetworkPolicy"):
        for way, peers in (("ingress", "from"), ("egress", "to")):
            for index, each in enumerate(obj.items("spec", way)):
                yield from _peers(obj, (way, index, peers), mapping(each).get(peers))
                yield from _ranges(obj, (way, index, "ports"), mapping(each).get("ports"))


def _peers(obj: Obj, path: tuple[str | int, ...], peers: object) -> Iterator[Violation]:
    for number, peer in enumerate(peers if isinstance(peers, list) else []):
        given = [key for key in ("podSelector", "namespaceSelector") if mapping(peer).get(key) is not None]
        if mapping(peer).get("ipBlock") is not None and given:
            yield at(
                obj,
                "spec",
                *path,
                number,
                "ipBlock",
                message=f"beside {given[0]} in one peer",
                fix="make two items of it",
            )
        if all(each is None for each in mapping(peer).values()):
            yield at(obj, "spec", *path, number, message="an empty peer", fix="remove the item, or fill it")


def _ranges(obj: Obj, path: tuple[str | int, ...], ports: object) -> Iterator[Violation]:
    for number, port in enumerate(ports if isinstance(ports, list) else []):
        end, start = whole(mapping(port).get("endPort")), mapping(port).get("port")
        if end is not None and (whole(start) is None or end < (whole(start) or 0)):
            yield at(
                obj,
                "spec",
                *path,
                number,
                "endPort",
                message=f"{end}, and the range starts with {start}",
                fix="give a numeric port that is not above endPort",
            )
