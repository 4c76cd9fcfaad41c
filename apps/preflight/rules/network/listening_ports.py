"""Who listens: probes, container ports and Services against what the app and its server serve."""

from __future__ import annotations

import re
from collections.abc import Iterator

from preflight.cluster.objects import Field
from preflight.cluster.services import Service
from preflight.cluster.workloads import Container
from preflight.documents.paths import Step, dig
from preflight.facts.addresses import Address, listening
from preflight.facts.images import command_fields, container_images
from preflight.facts.known_images import known, shown
from preflight.facts.mounts import mounts
from preflight.facts.ports import asked_ports, probe_ports, target
from preflight.facts.servers import Listening, command_words, servers_listening
from preflight.facts.settings import Written, container_settings, requests, routes
from preflight.findings import Outcome, Severity
from preflight.model import Model
from preflight.rules.images.public_images import is_as_it_comes
from preflight.rules.images.python_code import started
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import listed


def outcome_of(asking: list[str]) -> Outcome:
    """What comes of nobody answering: a failing liveness probe alone restarts the container; the others keep
    the pod from being ready; a Service's clients are refused."""
    probes = [name for name in asking if name.endswith("Probe")]
    if not probes:
        return "ready but unreachable" if asking else "applies nothing"
    return "CrashLoopBackOff" if probes == ["livenessProbe"] else "never ready"


@rule("port-not-served", family="network", severity="error", outcome="never ready")
def port_not_served(model: Model) -> Iterator[Violation]:
    """A port that a probe or a Service asks, and on which the app does not listen.

    The app's settings say where it listens (HEALTH_PORT, PORT, …), by the value offered or the default, and
    the command line of its server does. A probe elsewhere never succeeds; a Service's clients are refused. Of
    a server, a port that another container, a setting, a variable or the code mentions may be served all the
    same, and a port that is declared and asked by nobody is a warning, as is an image that is not built here.
    A public image that is started as it comes listens where its publisher says.
    Where none is known, a Service is compared with the ports that containers declare, which is a
    convention: a warning, where each pod has one container with one port, and no port of the Service leads
    there.

        HEALTH_PORT=8081               # and containerPort: 8080, which the probes ask
    """
    for settings in container_settings(model).values():
        if settings.app.config.app is not None and listening(model, settings.container):
            yield from _beside_settings(model, settings.container)
    for container, listens in servers_listening(model).items():
        yield from _beside_server(model, container, listens)
    for container in model.containers:
        yield from _beside_image(model, container)
    for service in model.services:
        yield from _beside_pods(model, service)


def _beside_settings(model: Model, container: Container) -> Iterator[Violation]:
    served = listening(model, container)
    words = " ".join([*container.command, *container.args])
    wrong: dict[tuple[Step, ...], tuple[Field, int, list[str]]] = {}
    for name, port in probe_ports(container):
        number = container.port(port.doc)
        if number is None or number in served or str(number) in words:
            continue
        if isinstance(port.doc, str):
            declared = container.fields("ports.*")
            port = next(each.field("containerPort") for each in declared if each.get("name") == port.doc)
        wrong.setdefault(port.path, (port, number, []))[2].append(name)
    number, setting = next(iter(served.items()))
    offered = container.env.get(setting)
    where = f" ({offered.place})" if offered is not None else ""
    said = listed(f"{number} ({setting})" for number, setting in served.items())
    for port, asked, names in wrong.values():
        yield at(
            port,
            message=f"{listed(names)} ask port {asked}, and the app listens on {said}{where}",
            fix=f"write {number}, or change {setting}",
            outcome=outcome_of(names),
        )


def _beside_server(model: Model, container: Container, listens: Listening) -> Iterator[Violation]:
    declared = [port.get("containerPort") for port in container.ports if port.get("protocol", "TCP") == "TCP"]
    numbers = set(asked_ports(model, container).values())
    wrong = sorted(
        number
        for number in numbers or {each for each in declared if isinstance(each, int)}
        if number != listens.port and not _may_listen(model, container, number)
    )
    if not wrong or listens.port in numbers or (not numbers and listens.port in declared):
        return
    asking = _asking(model, container, wrong[0])
    default = "" if listens.port_given else ", its default"
    who = f"{listed(asking)} asks {wrong[0]}" if asking else f"the container declares {wrong[0]}"
    yield at(
        _written(model, container, listens, str(listens.port) if listens.port_given else ""),
        message=f"{listens.command.name} listens on port {listens.port}{default}, and {who}",
        fix=f"let it listen on {wrong[0]}, or ask {listens.port}",
        severity="error" if asking and container in container_images(model) else "warning",
        outcome=outcome_of(asking),
    )


def _beside_image(model: Model, container: Container) -> Iterator[Violation]:
    own = image_ports(container)
    asked = asked_ports(model, container) if own and container.role != "init" else {}
    wrong = {number for number in asked.values() if number not in own}
    targets = [target(port) for service in model.services_of(container.workload) for port in service.ports]
    served = any(container.port(each) in own for each in (*targets, *asked.values()))
    for number in sorted(each for each in wrong if not _may_listen(model, container, each)):
        asking = _asking(model, container, number)
        yield at(
            _asked_at(model, container, number),
            message=f"{shown(container.image)} listens on port {listed(map(str, own[:3]))}, and "
            f"{listed(asking)} asks {number}",
            fix=f"ask {own[0]}",
            severity="warning" if served else None,
            outcome=outcome_of(asking),
        )


def image_ports(container: Container) -> tuple[int, ...]:
    """Where a public image listens that is started as it comes; empty where that is not known."""
    image = known(container.image)
    texts = any("configMap" in mount.volume or "hostPath" in mount.volume for mount in mounts(container))
    configurable = texts and not image.configuration
    as_it_comes = container.env_is_known and not container.args and is_as_it_comes(container, image)
    return image.ports if as_it_comes and not configurable else ()


def _asked_at(model: Model, container: Container, number: int) -> Field:
    """Where a port is asked for: the container's own declaration, else a probe, else a Service."""
    declared = [each.field("containerPort") for each in container.fields("ports.*")]
    asking = [port for _, port in probe_ports(container)]
    for service in model.services_of(container.workload):
        ports = service.fields("spec.ports.*")
        asking += [each.field("targetPort" if "targetPort" in each.mapping() else "port") for each in ports]
    fields = [each for each in (*declared, *asking) if each.doc == number]
    return fields[0] if fields else container.field("image")


def _beside_pods(model: Model, service: Service) -> Iterator[Violation]:
    containers = [each for workload in service.workloads for each in workload.containers]
    main = [each for each in containers if each.role != "init"]
    apps = [listening(model, each) for each in main]
    plain = len(main) == len(service.workloads) and all(len(each.ports) == 1 for each in main)
    if not main or not (plain or all(apps)) or any(map(image_ports, main)):
        return
    served = {number for each in apps for number in each}
    served |= {
        port["containerPort"]
        for each in main
        for port in each.ports
        if isinstance(port.get("containerPort"), int)
    }
    targets = [(port, target(port.mapping())) for port in service.fields("spec.ports.*")]
    lost = [(port, number) for port, number in targets if isinstance(number, int) and number not in served]
    for port, number in lost if len(lost) == len(targets) else ():
        yield at(
            port.field("targetPort" if "targetPort" in port.mapping() else "port"),
            message=f"Service {service.name} leads to port {number}; the containers of the pods it "
            f"selects have {listed(str(each) for each in sorted(served))}",
            fix="lead it to a port the container listens on",
            severity=None if all(apps) else "warning",
            outcome="ready but unreachable",
        )


def _asking(model: Model, container: Container, number: int) -> list[str]:
    return [name for name, port in asked_ports(model, container).items() if port == number]


def _may_listen(model: Model, container: Container, number: int) -> bool:
    """Whether something else may serve a port: another container, a setting, or code that mentions it."""
    for other in container.workload.containers:
        numbers = [port.get("containerPort") for port in other.ports]
        if other is not container and other.role != "init" and (not numbers or number in numbers):
            return True
    words = [*container.command, *container.args, *(each.value or "" for each in container.env.values())]
    mentioned = re.compile(rf"(?<!\d){number}(?!\d)")
    if number in listening(model, container) or any(mentioned.search(word) for word in words):
        return True
    files = [
        file for each in started(model) if each.image.container is container for file in each.reached.files
    ]
    return any(mentioned.search((model.root / file).read_text("utf-8", "replace")) for file in files)


def _written(model: Model, container: Container, listens: Listening, text: str) -> Field:
    """Where the command line says it: the word of the value, or the one that names the server."""
    program, *task = listens.command.name.split()
    for wanted in (text, program, *task):
        for word in command_fields(container) if wanted else ():
            if wanted in str(word.doc):
                return word
    image = container_images(model).get(container)
    if image is None or not command_words(container, image):
        return container.field("name")
    entry = image.stage.entrypoint if image.stage.entrypoint is not None else image.stage.cmd
    for each in (image.stage.cmd, image.stage.entrypoint):
        if each is not None and any(program in word for word in each.words):
            entry = each
    return Written(container, ("image",), image.place(entry.line if entry is not None else image.stage.line))


@rule("server-on-loopback", family="network", severity="error", outcome="never ready")
def server_on_loopback(model: Model) -> Iterator[Violation]:
    """A server that listens on 127.0.0.1, and a probe or a Service that asks it.

    uvicorn, gunicorn, hypercorn, granian, daphne, `flask run` and Django's `runserver` listen on the loopback
    address unless they are told otherwise. The kubelet and Services come by the pod's own address: connection
    refused. Command, args, variables, the Dockerfile and gunicorn's or hypercorn's file are read. A warning
    where the image is not known here, since it may set a variable.

        command: [uvicorn, "web.main:app"]     # --host 0.0.0.0
    """
    for container, listens in servers_listening(model).items():
        asked = _asking(model, container, listens.port) if listens.is_local else []
        if not asked:
            continue
        image = container_images(model).get(container)
        default = "" if listens.host_given else ", its default"
        server = listens.command.server
        how = f"{server.hosts[-1]} 0.0.0.0" if server.hosts else f"bind to 0.0.0.0:{listens.port}"
        severity: Severity = "error" if listens.host_given or image is not None else "warning"
        yield at(
            _written(model, container, listens, listens.host if listens.host_given else ""),
            message=f"{listens.command.name} listens on {listens.host}:{listens.port}{default}, where "
            f"{listed(asked)} cannot reach it",
            fix=f"add {how}" if not listens.host_given else "listen on 0.0.0.0",
            severity=severity,
            outcome=outcome_of(asked),
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


@rule("probe-without-tls", family="network", severity="warning", outcome="never ready")
def probe_without_tls(model: Model) -> Iterator[Violation]:
    """An HTTP probe of a port that is called https, without `scheme: HTTPS`.

    A probe asks by HTTP unless its scheme says otherwise, and a TLS server answers 400: `client sent an HTTP
    request to an HTTPS server`.

        httpGet: {path: /healthz, port: https}     # scheme: HTTPS
    """
    for container in model.containers:
        names = {port.get("containerPort"): str(port.get("name", "")) for port in container.ports}
        for name, port in probe_ports(container):
            called = str(port.doc) if isinstance(port.doc, str) else names.get(port.doc, "")
            by_http = container.get(name, "httpGet", "scheme", default="HTTP") == "HTTP"
            if "httpGet" in port.path and by_http and re.fullmatch(r"(.*-)?https(-.*)?", called):
                yield at(
                    port,
                    message=f"{name} asks port {called} by HTTP, and a TLS server answers that with 400",
                    fix="say scheme: HTTPS",
                    outcome=outcome_of([name]),
                )


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


@rule("port-taken-in-pod", family="network", severity="error", outcome="CrashLoopBackOff")
def port_taken_in_pod(model: Model) -> Iterator[Violation]:
    """Two containers of one pod that listen on the same port.

    Containers of a pod share its network: the second one to bind the port fails with `address already in
    use`. Known are the ports that containers declare, and those of public images started as they come.

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
            for number in image_ports(container) if container.role != "init" else ():
                first = taken.setdefault((str(number), "TCP"), container)
                if first is not container and number not in [
                    port.get("containerPort") for port in container.ports
                ]:
                    yield at(
                        container.field("image"),
                        message=f"{shown(container.image)} listens on port {number}, which container "
                        f"{first.name} of this pod has already",
                        fix="let one of them listen on another port",
                    )
