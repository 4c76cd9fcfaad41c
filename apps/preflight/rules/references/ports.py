"""Ports by name, and Services whose ports lead to none of the pods'."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.cluster.workloads import Container
from preflight.documents.paths import Step, dig
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import is_placeholder, near


@rule("target-port-name-missing", family="references", severity="error", outcome="ready but unreachable")
def target_port_name_missing(model: Model) -> Iterator[Violation]:
    """A Service's `targetPort` by a name that no selected pod's container gives to a port.

    The pods are left out of the Service's endpoints for that port: they are ready and nobody reaches them.

        ports:
        - port: 8080
          targetPort: http             # the container's port is called health
    """
    for service in model.services:
        containers = [container for workload in service.workloads for container in workload.containers]
        names = [str(port["name"]) for each in containers for port in each.ports if "name" in port]
        for index, port in enumerate(service.obj.items("spec", "ports")):
            target = dig(port, "targetPort")
            if not isinstance(target, str) or not containers or target in names or target.isdigit():
                continue
            if is_placeholder(target):
                continue
            numbers = {str(p.get("containerPort")) for each in containers for p in each.ports}
            meant = near(target, names) or (names[0] if len(set(names)) == 1 and len(numbers) == 1 else "")
            known = f"they have {', '.join(sorted(set(names)))}" if names else "they name none"
            yield at(
                service,
                "spec",
                "ports",
                index,
                "targetPort",
                message=f"targetPort {target}: no container of the selected pods has a port of that name: "
                f"{known}",
                fix=f"write {meant}" if meant else f"name a containerPort {target}, or give the number",
            )


@rule("probe-port-name-missing", family="references", severity="error", outcome="never ready")
def probe_port_name_missing(model: Model) -> Iterator[Violation]:
    """A probe on a port by a name that its container does not give to any of its ports.

    The kubelet cannot ask and throws the try away: a startup or readiness probe never succeeds, and the pod
    is never ready; a liveness probe never fails either, and restarts nothing.

        readinessProbe:
          httpGet:
            path: /readyz
            port: http                 # the container's port is called health
    """
    for workload in model.workloads:
        for container in workload.containers:
            for name, probe in container.probes.items():
                for action in ("httpGet", "tcpSocket"):
                    wanted = dig(probe, action, "port")
                    if is_placeholder(str(wanted)):
                        continue
                    if isinstance(wanted, str) and not wanted.isdigit() and container.port(wanted) is None:
                        yield _unnamed(
                            container, (name, action, "port"), wanted, alive=name == "livenessProbe"
                        )


def _unnamed(container: Container, path: tuple[Step, ...], wanted: str, *, alive: bool) -> Violation:
    names = [str(port["name"]) for port in container.ports if "name" in port]
    meant = near(wanted, names) or (names[0] if len(names) == 1 else "")
    return at(
        container,
        *path,
        message=f"probe port {wanted}: container {container.name} has no port of that name"
        + (f": it has {', '.join(names)}" if names else ": it names no port"),
        fix=f"write {meant}" if meant else f"name a containerPort {wanted}, or give the number",
        outcome="applies nothing" if alive else None,
    )
