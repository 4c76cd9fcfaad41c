"""Services whose pods are another program's than the one they are named for."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.cluster.services import Service
from preflight.cluster.workloads import Container, Workload
from preflight.facts.existence import are_applied_together
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule


@rule("service-selects-others", family="references", severity="error", outcome="ready but unreachable")
def service_selects_others(model: Model) -> Iterator[Violation]:
    """A Service that also selects the pods of a workload that runs something else.

    A part of the requests goes to pods that cannot answer them: to a port nobody listens on, or to another
    program. Two versions of one program behind a Service are taken for what they are (the same container
    names, or the same image, command and first argument, of the containers that have the port where all pods
    have one), and headless Services, which list members of a cluster, are left alone.

        selector:
          app.kubernetes.io/part-of: vhm   # selects every worker
    """
    for service in model.services:
        reached = [
            workload
            for workload in service.workloads
            if _receives(service, workload) and are_applied_together(model, service.obj, workload.obj)
        ]
        serving = [_serving(service, each) for each in reached]
        running = serving if all(serving) else [each.containers for each in reached]
        others = [
            each
            for each, containers in zip(reached[1:], running[1:], strict=True)
            if _program(containers) != _program(running[0]) and not _names(containers) & _names(running[0])
        ]
        if service.headless or not others:
            continue
        names = dict.fromkeys(f"{each.kind} {each.name}" for each in (reached[0], *others))
        if len(names) < 2:
            continue
        yield at(
            service.field("spec", "selector", next(iter(service.selector))),
            message=f"the selector of Service {service.name} selects pods of {' and '.join(sorted(names))}, "
            "which run different programs",
            fix="select by a label that only one of them has",
        )


def _names(containers: list[Container]) -> set[str]:
    return {container.name for container in containers if container.role == "main"}


def _serving(service: Service, workload: Workload) -> list[Container]:
    """The containers that declare a port the Service leads to."""
    targets = [port.get("targetPort", port.get("port")) for port in service.ports]
    return [
        container
        for container in workload.containers
        if any(
            target in (port.get("containerPort"), port.get("name"))
            for target in targets
            for port in container.ports
        )
    ]


def _program(containers: list[Container]) -> tuple[object, ...]:
    """What the main ones of these containers run, as far as two versions of one program agree."""
    found = []
    for container in containers:
        if container.role == "main":
            words = [word for word in (*container.command, *container.args) if not word.startswith("-")]
            repository = container.image.partition("@")[0]
            last = repository.rpartition("/")[2]
            repository = repository.removesuffix(":" + last.partition(":")[2]) if ":" in last else repository
            found.append((repository, tuple(container.command), tuple(words[:1])))
    return tuple(sorted(found))


def _receives(service: Service, workload: Workload) -> bool:
    """Whether the pods become endpoints of any port: a named target port must be one of theirs."""
    names = {str(port.get("name")) for container in workload.containers for port in container.ports}
    targets = [port.get("targetPort", port.get("port")) for port in service.ports]
    return any(isinstance(target, int) or str(target) in names for target in targets)
