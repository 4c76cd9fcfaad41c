"""Who listens: probes, container ports and Services against what the app serves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from preflight.cluster.workloads import Container
from preflight.documents.paths import Step, dig
from preflight.facts.addresses import Address, listening
from preflight.facts.settings import container_settings, requests, routes
from preflight.findings import Outcome
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import listed


def outcome_of(probes: list[str]) -> Outcome:
    """A failing liveness probe alone restarts the container; the others keep the pod from being ready."""
    return "CrashLoopBackOff" if probes == ["livenessProbe"] else "never ready"


@rule("probe-port-not-served", family="network", severity="error", outcome="never ready")
def probe_port_not_served(model: Model) -> Iterator[Violation]:
    """A probe on a port that the app does not listen on.

    The app's settings say where it listens (HEALTH_PORT, PORT, …), by the value offered or the default. A
    startup or readiness probe elsewhere never succeeds, and a liveness probe elsewhere restarts the container
    for ever. A port given by name is reported where the name is given to the wrong number.

        HEALTH_PORT=8081               # and containerPort: 8080, which the probes ask
    """
    for container, probes in _probed(model):
        served = listening(model, container)
        words = " ".join([*container.command, *container.args])
        wrong: dict[tuple[Step, ...], list[str]] = {}
        for name, action, probe in probes:
            wanted = dig(probe, action, "port")
            number = container.port(wanted)
            if number is None or number in served or str(number) in words:
                continue
            path: tuple[Step, ...] = (name, action, "port")
            if isinstance(wanted, str):
                index = next(i for i, p in enumerate(container.items("ports")) if dig(p, "name") == wanted)
                path = ("ports", index, "containerPort")
            wrong.setdefault(path, []).append(name)
        for path, names in wrong.items():
            port = container.get(*path)
            offered = container.env.get(next(iter(served.values())))
            where = f" ({offered.place})" if offered is not None else ""
            said = listed(f"{number} ({setting})" for number, setting in served.items())
            yield at(
                container.field(*path),
                message=f"{listed(names)} ask port {port}, and the app listens on {said}{where}",
                fix=f"write {next(iter(served))}, or change {next(iter(served.values()))}",
                outcome=outcome_of(names),
            )


def _probed(model: Model) -> Iterator[tuple[Container, list[tuple[str, str, dict[str, Any]]]]]:
    """Containers whose app and whose port are known, with their probes of the pod itself."""
    for settings in container_settings(model).values():
        container = settings.container
        if settings.app.config.app is None or not listening(model, container):
            continue
        yield (
            container,
            [
                (name, action, probe)
                for name, probe in container.probes.items()
                for action in ("httpGet", "tcpSocket")
                if isinstance(probe.get(action), dict) and not dig(probe, action, "host")
            ],
        )


@rule("probe-path-not-served", family="network", severity="error", outcome="never ready")
def probe_path_not_served(model: Model) -> Iterator[Violation]:
    """An HTTP probe that the app answers with a failure.

    The app itself is asked, in memory and without starting it, by the pod's own address as the kubelet does.
    From 400 on an answer is a failure: 404 and 405 mean that the path is not served, 401 and 403 that it
    expects credentials, 400 often that the app does not know the pod's address as its host. 503 only means
    not yet. A redirect to https is followed, and nobody answers there. A warning where the app adds routes as
    it starts.

        readinessProbe:
          httpGet:
            path: /healthz             # the app serves /readyz
    """
    for container in model.containers:
        app = model.app(container)
        if app is None or app.config.app is None:
            continue
        served = listening(model, container)
        for name, route in routes(model, container).items():
            request = requests(container)[name]
            number = container.port(dig(container.probes[name], "httpGet", "port"))
            if served and number not in served:
                continue
            if route.fails:
                redirected = f" (to {route.location})" if route.location and route.status != 404 else ""
                yield at(
                    container.field(name, "httpGet", "path"),
                    message=f"{name}: the app answers {route.status}{redirected} on GET {request.path}, "
                    "which the kubelet takes for a failure",
                    fix=_ANSWERS.get(route.status or 0, "let the app answer this path with 200"),
                    severity="warning" if route.starts and route.status in (404, 405) else None,
                    outcome=outcome_of([name]),
                )


_ANSWERS = {
    400: "let the app take the pod's address as Host, or give httpHeaders: [{name: Host, value: …}]",
    401: "let the app answer this path without credentials, or send them as httpHeaders",
    403: "let the app answer this path without credentials, or send them as httpHeaders",
    404: "name a path that the app serves",
    405: "name a path that the app serves with GET",
} | dict.fromkeys((301, 302, 307, 308), "leave this path out of the redirect to https")


@rule("probe-asks-the-node", family="network", severity="error", outcome="never ready")
def probe_asks_the_node(model: Model) -> Iterator[Violation]:
    """A probe or postStart hook with `host: localhost`, in a pod that is not on the node's network.

    The kubelet connects from the node, and localhost is the node itself. Without `host` it asks the pod.
    A name of a Service is asked of the node's resolver, which mostly does not know it: a warning.

        httpGet: {host: localhost, path: /health, port: http}
    """
    for container in model.containers:
        hooks = {name: (name,) for name in container.probes} | {"postStart": ("lifecycle", "postStart")}
        for name, path in hooks.items():
            for action in ("httpGet", "tcpSocket"):
                host = container.get(*path, action, "host")
                if not isinstance(host, str) or not host or container.workload.get("hostNetwork") is True:
                    continue
                address = Address(host.lower(), None)
                number = container.port(container.get(*path, action, "port"))
                if number in [port.get("hostPort") for port in container.ports]:
                    continue
                if address.is_local or address.host == "0.0.0.0":  # noqa: S104 - compared with, not bound to
                    message = f"{name} asks {host}, which for the kubelet is the node, not the pod"
                elif address.is_of_cluster and model.service_at(host, container.obj.namespace) is not None:
                    message = f"{name} asks the Service {host}, a name that the node's resolver does not know"
                else:
                    continue
                yield at(
                    container.field(*path, action, "host"),
                    message=message,
                    fix="remove host: the kubelet asks the pod's own address",
                    severity=None if not address.is_of_cluster else "warning",
                    outcome="CrashLoopBackOff" if name == "postStart" else outcome_of([name]),
                )


@rule("target-port-not-served", family="network", severity="error", outcome="ready but unreachable")
def target_port_not_served(model: Model) -> Iterator[Violation]:
    """A Service that leads to a port none of the selected pods' containers has.

    Where the settings type says on which ports the app listens, it is asked; otherwise the containers' own
    declarations are. Declaring a port is a convention: then it is a warning, and said only where each of the
    pods has one container with one port, and no port of the Service leads there.

        ports:
        - port: 80
          targetPort: 8000             # the container's port is 8080
    """
    for service in model.services:
        containers = [each for workload in service.workloads for each in workload.containers]
        main = [each for each in containers if each.role != "init"]
        known = [listening(model, each) for each in main]
        plain = len(main) == len(service.workloads) and all(len(each.ports) == 1 for each in main)
        if not main or not (plain or all(known)):
            continue
        declared = [port.get("containerPort") for each in main for port in each.ports]
        served = {each for each in declared if isinstance(each, int)}
        served |= {number for each in main for number in listening(model, each)}
        targets = [
            (index, port.get("targetPort", port.get("port"))) for index, port in enumerate(service.ports)
        ]
        lost = [
            (index, target) for index, target in targets if isinstance(target, int) and target not in served
        ]
        for index, target in lost if len(lost) == len(targets) else ():
            field = "targetPort" if "targetPort" in service.ports[index] else "port"
            numbers = listed(str(each) for each in sorted(served))
            yield at(
                service.field("spec", "ports", index, field),
                message=f"Service {service.name} leads to port {target}; the containers of the pods it "
                f"selects have {numbers}",
                fix="lead it to a port the container listens on",
                severity=None if all(known) else "warning",
            )


@rule("port-taken-in-pod", family="network", severity="error", outcome="CrashLoopBackOff")
def port_taken_in_pod(model: Model) -> Iterator[Violation]:
    """Two containers of one pod that listen on the same port.

    Containers of a pod share its network: the second one to bind the port fails with `address already in
    use`.

        containers:
        - {name: app, ports: [{containerPort: 8080}]}
        - {name: proxy, ports: [{containerPort: 8080}]}
    """
    for workload in model.workloads:
        taken: dict[tuple[str, str], Container] = {}
        for container in workload.containers:
            for index, port in enumerate(container.ports if container.role != "init" else ()):
                key = (str(port.get("containerPort")), str(port.get("protocol", "TCP")))
                first = taken.setdefault(key, container)
                if first is not container:
                    yield at(
                        container.field("ports", index, "containerPort"),
                        message=f"containerPort {key[0]}: container {first.name} of this pod has it already",
                        fix="let one of them listen on another port",
                    )
