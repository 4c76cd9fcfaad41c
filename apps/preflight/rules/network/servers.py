"""Where a server's command line makes it listen, against who asks it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from preflight.cluster.workloads import Container
from preflight.documents.paths import Step, dig
from preflight.facts.addresses import listening
from preflight.facts.images import container_images
from preflight.facts.servers import Listening, command_words, servers_listening
from preflight.findings import Outcome, Place, Severity
from preflight.model import Model
from preflight.rules.images.python_code import started
from preflight.rules.network.listening_ports import outcome_of
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import listed


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
        asked = _asked(model, container, listens.port) if listens.is_local else []
        if not asked:
            continue
        image = container_images(model).get(container)
        path, place = _written(model, container, listens, listens.host if listens.host_given else "")
        default = "" if listens.host_given else ", its default"
        server = listens.command.server
        how = f"{server.hosts[-1]} 0.0.0.0" if server.hosts else f"bind to 0.0.0.0:{listens.port}"
        severity: Severity = "error" if listens.host_given or image is not None else "warning"
        yield at(
            container.field(*path),
            message=f"{listens.command.name} listens on {listens.host}:{listens.port}{default}, where "
            f"{listed(asked)} cannot reach it",
            fix=f"add {how}" if not listens.host_given else "listen on 0.0.0.0",
            place=place,
            severity=severity,
            outcome=_outcome(asked),
        )


@rule("server-port-differs", family="network", severity="error", outcome="never ready")
def server_port_differs(model: Model) -> Iterator[Violation]:
    """A server whose command line names another port than the one that is asked.

    Nothing answers there: a probe never succeeds, and a Service's clients are refused. A port that another
    container, a setting, a variable or the code mentions may be served all the same, and a port that is
    declared and asked by nobody is a warning, as is an image that is not built here.

        command: [uvicorn, "web.main:app", --host, "0.0.0.0", --port, "9000"]    # the probes ask 8080
    """
    for container, listens in servers_listening(model).items():
        declared = [
            port.get("containerPort") for port in container.ports if port.get("protocol", "TCP") == "TCP"
        ]
        numbers = {*_probed(container).values(), *_targets(model, container).values()}
        wrong = sorted(
            number
            for number in numbers or {each for each in declared if isinstance(each, int)}
            if number != listens.port and not _may_listen(model, container, number)
        )
        if not wrong or listens.port in numbers or (not numbers and listens.port in declared):
            continue
        asked = _asked(model, container, wrong[0])
        image = container_images(model).get(container)
        default = "" if listens.port_given else ", its default"
        path, place = _written(model, container, listens, str(listens.port) if listens.port_given else "")
        who = f"{listed(asked)} asks {wrong[0]}" if asked else f"the container declares {wrong[0]}"
        yield at(
            container.field(*path),
            message=f"{listens.command.name} listens on port {listens.port}{default}, and {who}",
            fix=f"let it listen on {wrong[0]}, or ask {listens.port}",
            place=place,
            severity="error" if asked and image is not None else "warning",
            outcome=_outcome(asked) if asked else "applies nothing",
        )


def _probed(container: Container) -> dict[str, int]:
    """The ports of the container's own that its probes ask, by probe."""
    found = {}
    for name, probe in container.probes.items():
        for action in ("httpGet", "tcpSocket"):
            number = container.port(dig(probe, action, "port"))
            if number is not None and not dig(probe, action, "host"):
                found[name] = number
    return found


def _targets(model: Model, container: Container) -> dict[str, int]:
    """The ports that Services lead to, where the container is the pod's only one, by Service."""
    others = [each for each in container.workload.containers if each.role != "init" and each is not container]
    found = {}
    for service in model.services_of(container.workload) if not others else ():
        for port in service.ports:
            number = container.port(port.get("targetPort", port.get("port")))
            if number is not None and port.get("protocol", "TCP") == "TCP":
                found[f"Service {service.name}"] = number
    return found


def _asked(model: Model, container: Container, number: int) -> list[str]:
    asked = {**_probed(container), **_targets(model, container)}
    return [name for name, port in asked.items() if port == number]


def _outcome(asked: list[str]) -> Outcome:
    probes = [name for name in asked if name.endswith("Probe")]
    return outcome_of(probes) if probes else "ready but unreachable"


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


def _written(
    model: Model, container: Container, listens: Listening, text: str
) -> tuple[tuple[Step, ...], Place | None]:
    """Where the command line says it: the word of the value, or the one that names the server."""
    program, *task = listens.command.name.split()
    for wanted in (text, program, *task):
        for field, words in (("command", container.command), ("args", container.args)):
            for index, word in enumerate(words):
                if wanted and wanted in word:
                    return (field, index), None
    image = container_images(model).get(container)
    if image is None or not command_words(container, image):
        return ("name",), None
    entry = image.stage.entrypoint if image.stage.entrypoint is not None else image.stage.cmd
    for each in (image.stage.cmd, image.stage.entrypoint):
        if each is not None and any(program in word for word in each.words):
            entry = each
    return ("image",), image.place(entry.line if entry is not None else image.stage.line)
