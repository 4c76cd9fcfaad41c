"""From a model to nodes and edges: workloads, Services, topics, stores, Secrets, what lies outside."""

from __future__ import annotations

from typing import Literal

import msgspec

from preflight.cluster.objects import Located
from preflight.cluster.services import Service
from preflight.cluster.workloads import Workload
from preflight.documents.paths import dig
from preflight.facts.addresses import Call, calls
from preflight.facts.service_references import Backend, backends
from preflight.facts.settings import topics
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
        for call in calls(model):
            if call.container.workload is workload:
                _call(g, call)
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


def _call(g: _Gathering, call: Call) -> None:
    """An edge to the Service an address means, else to what lies outside; one that the app does not declare
    an address is believed only when it meets a Service."""
    address, source = call.address, _id(call.container.workload)
    if call.service is not None:
        if call.container.workload in call.service.workloads:
            return
        served = {dig(item, "port") for item in call.service.ports}
        wrong = address.port is not None and served and not {address.port} & served
        why = f"no port {address.port}" if wrong and not call.service.headless else ""
        g.edge(source, _service_node(g, call.service), str(address.port or ""), broken=why)
    elif call.known and address.is_of_cluster:
        node = g.node("service", address.host, address.host, "Service", missing=True)
        g.edge(source, node, str(address.port or ""), broken="no such Service")
    elif call.known and not address.is_local and not address.is_numeric:
        g.edge(source, g.node("outside", address.host), str(address.port or ""))


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


SECRETS = (
    ("envFrom.*.secretRef", "name"),
    ("env.*.valueFrom.secretKeyRef", "name"),
    ("volumes.*.secret", "secretName"),
    ("volumes.*.projected.sources.*.secret", "name"),
)
"""Where containers and pods name Secrets, and the field below that has the name."""


def _secrets(g: _Gathering, workload: Workload) -> None:
    parts: tuple[Located, ...] = (*workload.containers, workload)
    for reference, named in (
        (each, named) for p in parts for path, named in SECRETS for each in p.fields(path)
    ):
        name = reference.get(named)
        if not isinstance(name, str) or not name:
            continue
        optional = reference.get("optional") is True
        known = g.model.find("Secret", workload.namespace, name) is not None
        known = known or g.model.config.provides("Secret", name)
        label = _name(workload.namespace, name)
        node = g.node("secret", label, name, "Secret", missing=not known and not optional)
        g.edge(_id(workload), node, optional=optional, broken="" if known or optional else "not here")


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
