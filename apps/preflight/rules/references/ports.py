"""Ports that are asked for, by name or number, against those that there are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from preflight.cluster.objects import Field, Obj, selects
from preflight.cluster.workloads import Container, Workload
from preflight.documents.paths import list_at
from preflight.facts.custom_resources import monitors
from preflight.facts.ports import probe_ports
from preflight.facts.service_references import backends
from preflight.findings import Outcome, Severity
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import is_placeholder, listed, near


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A port that a field asks for, and the ports of whom it asks."""

    field: Field
    of: str
    known: tuple[Any, ...]
    """The names that they have, or the numbers where a number is asked for."""
    outcome: Outcome | None = None
    severity: Severity | None = None
    workloads: tuple[Workload, ...] = ()
    """Whose containers they are: others may be added to their pods as these are made."""


@rule("missing-port", family="references", severity="error", outcome="ready but unreachable")
def missing_port(model: Model) -> Iterator[Violation]:
    """A port, by name or number, that what is asked for it does not have.

    A Service's `targetPort`, a probe's port and a NetworkPolicy's are names that containers give to their
    ports; an Ingress, route or webhook names a Service's `port`, not the pods'; a ServiceMonitor names a
    Service's port, a PodMonitor a container's. A name counts where the protocol is the same. The kubelet
    cannot ask a probe's port by a name that is not there: the pod is never ready, and a liveness probe never
    fails. A policy's rule then permits nothing, and a Service has no endpoints.

        readinessProbe:
          httpGet:
            path: /readyz
            port: http                 # the container's port is called health
    """
    for asked in (*_of_services(model), *_of_probes(model), *_of_policies(model), *_of_monitors(model)):
        if asked.field.doc in asked.known or is_placeholder(str(asked.field.doc)):
            continue
        if _is_announced(str(asked.field.doc), asked.workloads):
            continue
        known = list(dict.fromkeys(asked.known))
        only = known[0] if len(known) == 1 else None
        meant = near(str(asked.field.doc), map(str, known)) or only
        yield at(
            asked.field,
            message=f"{asked.of} has no port {asked.field.doc}: "
            + (f"it has {listed(map(str, known))}" if known else "it names none"),
            fix=f"write {meant}" if meant else "name a port that is there, or give the port this name",
            severity="warning" if _are_injected(asked.workloads) else asked.severity,
            outcome=asked.outcome,
        )


def _is_announced(port: str, workloads: Iterable[Workload]) -> bool:
    """Whether an annotation tells somebody of a port of this name: its container is added later."""
    word = re.compile(rf"(?<![\w-]){re.escape(port)}(?![\w-])")
    return any(word.search(text) for each in workloads for text in each.annotations.values())


def _are_injected(workloads: Iterable[Workload]) -> bool:
    """Whether a webhook is asked for a sidecar, whose ports no manifest shows."""
    marks = (key for each in workloads for key in (*each.labels, *each.annotations))
    return any("inject" in key or "sidecar" in key for key in marks)


def _of_services(model: Model) -> Iterator[Asked]:
    for service in model.services:
        containers = [container for workload in service.workloads for container in workload.containers]
        for target in service.fields("spec.ports.*.targetPort") if containers else ():
            if _is_name(target.doc):
                of = f"container {listed(each.name for each in containers)}"
                yield Asked(field=target, of=of, known=_names(containers), workloads=tuple(service.workloads))
                yield from _of_another_protocol(target, of, containers)
    for backend in backends(model):
        found = model.find("Service", backend.namespace, backend.name)
        known = found is not None and not found.group and found.get("spec", "type") != "ExternalName"
        if backend.port is not None and found is not None and known:
            key = "port" if isinstance(backend.port, int) else "name"
            yield Asked(
                field=backend.obj.field(*backend.port_path),
                of=f"Service {backend.name}",
                known=tuple(port.doc for port in found.fields(f"spec.ports.*.{key}")),
                outcome=backend.outcome,
            )


def _of_another_protocol(target: Field, of: str, containers: Iterable[Container]) -> Iterator[Asked]:
    """A port of the right name that is not of the protocol of the Service's port: it is not found."""
    asked = str(target.obj.get(*target.path[:-1], "protocol", default="TCP"))
    named = [port for each in containers for port in each.ports if port.get("name") == target.doc]
    protocols = {str(port.get("protocol", "TCP")) for port in named}
    if protocols and asked not in protocols:
        known = tuple(f"{target.doc} by {protocol}" for protocol in sorted(protocols))
        yield Asked(field=target, of=f"{of}, asked by {asked},", known=known)


def _of_probes(model: Model) -> Iterator[Asked]:
    for container in model.containers:
        for name, port in probe_ports(container):
            if _is_name(port.doc):
                yield Asked(
                    field=port,
                    of=f"container {container.name}, which {name} asks,",
                    known=_names([container]),
                    outcome="applies nothing" if name == "livenessProbe" else "never ready",
                )


def _of_policies(model: Model) -> Iterator[Asked]:
    for policy in model.objects_of("NetworkPolicy"):
        for direction in ("ingress", "egress"):
            for entry in policy.fields(f"spec.{direction}.*"):
                pods = _about(model, policy, direction, entry.doc)
                for port in entry.fields("ports.*.port") if pods else ():
                    if isinstance(port.doc, str):
                        yield Asked(
                            field=port,
                            of=f"container of {listed(pod.name for pod in pods)}",
                            known=_names(container for pod in pods for container in pod.containers),
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


def _of_monitors(model: Model) -> Iterator[Asked]:
    for monitor in monitors(model):
        chosen = [each for each in monitor.candidates if selects(monitor.selector, each.labels)]
        for port in monitor.obj.fields(monitor.ports) if chosen else ():
            yield Asked(
                field=port,
                of=f"{monitor.what} that {monitor.obj.kind} {monitor.obj.name} selects",
                known=tuple(name for each in chosen for name in each.ports),
                outcome="applies nothing",
                severity="warning",
            )


def _names(containers: Iterable[Container]) -> tuple[Any, ...]:
    return tuple(name.doc for container in containers for name in container.fields("ports.*.name"))


def _is_name(port: object) -> bool:
    return isinstance(port, str) and not port.isdigit()
