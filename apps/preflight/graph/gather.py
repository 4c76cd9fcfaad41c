"""From a model to nodes and edges: workloads, Services, topics, stores, Secrets, what lies outside."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from preflight.cluster.services import Service
from preflight.cluster.workloads import Workload
from preflight.documents.paths import dig
from preflight.facts.addresses import parse
from preflight.facts.service_references import Backend, backends
from preflight.facts.settings import container_settings, topics
from preflight.model import Model

Kind = Literal["workload", "service", "topic", "store", "secret", "outside"]


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One thing in the picture."""

    id: str
    label: str
    kind: Kind
    note: str = ""
    """A second, smaller line: the kind of workload, a size."""
    missing: bool = False
    """Named by something here, and not here."""


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """From who asks, sends or mounts, to whom."""

    source: str
    target: str
    label: str = ""
    optional: bool = False
    broken: str = ""
    """Why nothing gets through; empty when it does."""


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """The picture, in the render's order."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


class _Gathering:
    def __init__(self, model: Model) -> None:
        self.model = model
        self.nodes: dict[str, Node] = {}
        self.edges: dict[tuple[str, str], Edge] = {}

    def node(self, kind: Kind, name: str, label: str = "", note: str = "", missing: bool = False) -> str:
        id = f"{kind}/{name}"
        self.nodes.setdefault(id, Node(id=id, label=label or name, kind=kind, note=note, missing=missing))
        return id

    def edge(
        self, source: str, target: str, label: str = "", optional: bool = False, broken: str = ""
    ) -> None:
        if source == target:
            return
        key = (source, target)
        if (known := self.edges.get(key)) is not None:
            labels = dict.fromkeys(part for part in (*known.label.split(", "), label) if part)
            label = ", ".join(labels)
            optional, broken = optional and known.optional, known.broken or broken
        self.edges[key] = Edge(source=source, target=target, label=label, optional=optional, broken=broken)


def gather(model: Model) -> Graph:
    """The graph of a model."""
    g = _Gathering(model)
    for workload in model.workloads:
        g.node("workload", _name(workload.namespace, workload.name), workload.name, workload.kind)
    for workload in model.workloads:
        _topics(g, workload)
        _addresses(g, workload)
    for backend in backends(model):
        _backend(g, backend)
    for service in model.services:
        _service(g, service)
    for workload in model.workloads:
        _secrets(g, workload)
        _stores(g, workload)
    return Graph(nodes=tuple(g.nodes.values()), edges=tuple(g.edges.values()))


def _name(namespace: str, name: str) -> str:
    return f"{namespace}/{name}"


def _id(workload: Workload) -> str:
    return f"workload/{_name(workload.namespace, workload.name)}"


def _topics(g: _Gathering, workload: Workload) -> None:
    for container in workload.containers:
        for topic in topics(g.model, container):
            names = {container.name, workload.name}
            reads, writes = names & set(topic.readers), names & set(topic.writers)
            unsaid = not topic.readers and not topic.writers
            if not (reads or writes or unsaid):
                continue
            node = g.node("topic", topic.name)
            if reads:
                g.edge(node, _id(workload))
            if writes or unsaid:
                g.edge(_id(workload), node)
            known = {w.name for w in g.model.workloads} | {c.name for c in g.model.containers}
            for writer in topic.writers:
                if writer not in known:
                    g.edge(g.node("outside", f"{writer} writes", writer), node)
            for reader in topic.readers:
                if reader not in known:
                    g.edge(node, g.node("outside", f"{reader} reads", reader))


def _addresses(g: _Gathering, workload: Workload) -> None:
    for container in workload.containers:
        settings = container_settings(g.model).get(container)
        for name, variable in container.env.items():
            if variable.value is None or variable.is_secret:
                continue
            declared = settings.variable(name) if settings is not None else None
            if settings is not None and (declared is None or not declared.is_address):
                continue
            for host, port in _hosts(variable.value):
                _address(g, workload, host, port, said=declared is not None)


def _hosts(value: str) -> Iterator[tuple[str, int | None]]:
    """The hosts of a value that has a scheme or a port: a single word is no address."""
    for address in parse(value) if ":" in value else ():
        if not address.is_local and not address.is_numeric:
            yield address.host, address.port


def _address(g: _Gathering, workload: Workload, host: str, port: int | None, said: bool) -> None:
    """An edge to the Service a host means, else to what lies outside; one that the app does not declare
    an address is believed only when it meets a Service."""
    service = g.model.service_at(host, workload.namespace)
    if service is not None:
        if workload in service.workloads:
            return
        served = {dig(item, "port") for item in service.ports}
        wrong = port is not None and bool(served) and port not in served and not service.headless
        why = f"no port {port}" if wrong else ""
        g.edge(_id(workload), _service_node(g, service), str(port or ""), broken=why)
    elif said and ("." not in host or ".svc" in host):
        node = g.node("service", host, host, "Service", missing=True)
        g.edge(_id(workload), node, str(port or ""), broken="no such Service")
    elif said:
        g.edge(_id(workload), g.node("outside", host), str(port or ""))


def _service_node(g: _Gathering, service: Service) -> str:
    return g.node("service", _name(service.namespace, service.name), service.name, "Service")


def _service(g: _Gathering, service: Service) -> None:
    node = _service_node(g, service)
    if service.selector and not service.workloads:
        wanted = ", ".join(f"{key}={value}" for key, value in service.selector.items())
        g.edge(node, g.node("workload", f"of {node}", wanted, "no such pods", True), broken="selects nothing")
    for workload in service.workloads:
        for item in service.ports:
            target = item.get("targetPort", item.get("port"))
            numbers = [n for container in workload.containers if (n := container.port(target)) is not None]
            broken = "" if numbers else f"no port {target}"
            g.edge(node, _id(workload), str(numbers[0]) if numbers else str(target), broken=broken)


def _backend(g: _Gathering, backend: Backend) -> None:
    node = g.node("outside", f"{backend.obj.ref}", backend.obj.name, backend.obj.kind)
    service = g.model.find("Service", backend.namespace, backend.name)
    name = _name(backend.namespace, backend.name)
    target = g.node("service", name, backend.name, "Service", missing=service is None)
    g.edge(node, target, broken="" if service is not None else "no such Service")


def _secrets(g: _Gathering, workload: Workload) -> None:
    for name, optional in _secret_names(workload):
        known = g.model.find("Secret", workload.namespace, name) is not None
        known = known or g.model.config.provides("Secret", name)
        node = g.node(
            "secret", _name(workload.namespace, name), name, "Secret", missing=not known and not optional
        )
        g.edge(_id(workload), node, optional=optional, broken="" if known or optional else "not here")


def _secret_names(workload: Workload) -> Iterator[tuple[str, bool]]:
    for container in workload.containers:
        for source in container.env_from:
            if source.kind == "Secret":
                yield source.name, source.optional
        for item in container.items("env"):
            ref = dig(item, "valueFrom", "secretKeyRef")
            if isinstance(ref, dict) and ref.get("name"):
                yield str(ref["name"]), ref.get("optional") is True
    for volume in workload.volumes:
        for ref in (
            volume.get("secret"),
            *(dig(s, "secret") for s in dig(volume, "projected", "sources", default=[])),
        ):
            if isinstance(ref, dict) and (ref.get("secretName") or ref.get("name")):
                yield str(ref.get("secretName") or ref["name"]), ref.get("optional") is True


def _stores(g: _Gathering, workload: Workload) -> None:
    templates = workload.obj.items("spec", "volumeClaimTemplates")
    replaced = [dig(template, "metadata", "name") for template in templates]
    for volume in workload.volumes:
        claim = dig(volume, "persistentVolumeClaim", "claimName")
        if isinstance(claim, str) and volume.get("name") not in replaced:
            found = g.model.find("PersistentVolumeClaim", workload.namespace, claim)
            known = found is not None or g.model.config.provides("PersistentVolumeClaim", claim)
            size = str(found.get("spec", "resources", "requests", "storage") or "") if found else ""
            node = g.node("store", _name(workload.namespace, claim), claim, size, missing=not known)
            g.edge(_id(workload), node, broken="" if known else "not here")
        path = dig(volume, "hostPath", "path")
        if isinstance(path, str):
            g.edge(_id(workload), g.node("store", f"host {path}", path, "on the node"))
    for template in templates:
        name = str(dig(template, "metadata", "name", default=""))
        size = str(dig(template, "spec", "resources", "requests", "storage", default=""))
        node = g.node("store", f"{_name(workload.namespace, workload.name)}/{name}", name, size)
        g.edge(_id(workload), node)
