"""Which ports of a pod are asked for: by probes, and by Services."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from preflight.cluster.objects import Field
from preflight.cluster.workloads import Container, Workload
from preflight.model import Model


def target(port: Mapping[str, object]) -> object:
    """The port of its pods that an item of a Service's `ports` leads to, by number or name."""
    return port.get("targetPort", port.get("port"))


def probe_ports(container: Container) -> Iterator[tuple[str, Field]]:
    """Each port of the container's own that a probe asks, with the probe's name."""
    for name in container.probes:
        for action in ("httpGet", "tcpSocket"):
            port = container.field(name, action, "port")
            if port.doc is not None and not container.get(name, action, "host"):
                yield name, port


def asked_ports(model: Model, container: Container) -> dict[str, int]:
    """The ports that are asked of a container, by who asks: probes, and Services where it is alone."""
    found = {}
    for name, port in probe_ports(container):
        if (number := container.port(port.doc)) is not None:
            found[name] = number
    others = [each for each in container.workload.containers if each.role != "init" and each is not container]
    for service in model.services_of(container.workload) if not others else ():
        for each in service.ports:
            number = container.port(target(each))
            means = [other for other in service.workloads if _declares(other, target(each))]
            by_tcp = each.get("protocol", "TCP") == "TCP"
            if number is not None and by_tcp and (not means or container.workload in means):
                found[f"Service {service.name}"] = number
    return found


def _declares(workload: Workload, port: object) -> bool:
    """Whether a container of the pods declares the port, by number or name."""
    declared = (each for container in workload.containers for each in container.ports)
    return any(port in (each.get("containerPort"), each.get("name")) for each in declared)
