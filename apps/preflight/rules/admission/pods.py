"""What the API server refuses in a pod: names of ports, what is there twice, environments, contradictions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from preflight.cluster.objects import Located
from preflight.cluster.workloads import Container, Workload
from preflight.documents.paths import Step
from preflight.model import Model
from preflight.rules.fields import mapping
from preflight.rules.registry import Violation, at, rule

PORT_NAME = re.compile(r"(?=.*[a-z])[a-z0-9]+(?:-[a-z0-9]+)*")
"""An IANA service name: at most 15 of a-z, 0-9 and single dashes, at least one letter."""


@rule("invalid-port-name", family="admission", severity="error", outcome="rejected by the API server")
def invalid_port_name(model: Model) -> Iterator[Violation]:
    """A port's name that is not allowed.

    At most 15 lower-case letters, digits and single dashes, with at least one letter. This holds for the
    names of container ports and wherever they are asked for (probes, `targetPort`).

        ports:
        - name: prometheus-metrics     # 18 characters
    """
    for part, path, name in _port_names(model):
        if len(name) > 15 or not PORT_NAME.fullmatch(name):
            short = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:15].strip("-")
            yield at(
                part,
                *path,
                message=f"{name!r}: at most 15 lower-case letters, digits and single dashes",
                fix=f"write {short or 'http'} here and wherever it is asked for",
            )


def _port_names(model: Model) -> Iterator[tuple[Located, tuple[Step, ...], str]]:
    for container in model.containers:
        for index, port in enumerate(container.items("ports")):
            name = mapping(port).get("name")
            if isinstance(name, str) and name:
                yield container, ("ports", index, "name"), name
        declared = {str(port.get("name")) for port in container.ports}
        for probe, doc in container.probes.items():
            for way in ("httpGet", "tcpSocket"):
                name = mapping(doc.get(way)).get("port")
                if isinstance(name, str) and name not in declared:
                    yield container, (probe, way, "port"), name
    for service in model.services:
        declared = {
            str(port.get("name"))
            for workload in service.workloads
            for container in workload.containers
            for port in container.ports
        }
        for index, port in enumerate(service.obj.items("spec", "ports")):
            name = mapping(port).get("targetPort")
            if isinstance(name, str) and name not in declared:
                yield service, ("spec", "ports", index, "targetPort"), name


@rule("name-twice", family="admission", severity="error", outcome="rejected by the API server")
def name_twice(model: Model) -> Iterator[Violation]:
    """Two containers, volumes, ports or mounts of one pod with the same name or path.

    A patch that repeats an item kustomize does not join by that key adds a second one.

        volumeMounts:
        - {name: a, mountPath: /data}
        - {name: b, mountPath: /data}
    """
    for workload in model.workloads:
        own = [(each, ("name",), each.name) for each in workload.containers]
        yield from _twice(own, "container")
        volumes: list[tuple[Located, tuple[Step, ...], Any]] = [
            (workload, ("volumes", index, "name"), mapping(each).get("name"))
            for index, each in enumerate(workload.items("volumes"))
        ]
        yield from _twice(volumes, "volume")
        for container in workload.containers:
            yield from _twice(_items(container, "ports", "name"), "port")
            yield from _twice(_items(container, "volumeMounts", "mountPath"), "mount")


def _items(container: Container, field: str, key: str) -> list[tuple[Located, tuple[Step, ...], Any]]:
    items = enumerate(container.items(field))
    return [(container, (field, index, key), mapping(each).get(key)) for index, each in items]


def _twice(items: Iterable[tuple[Located, tuple[Step, ...], Any]], what: str) -> Iterator[Violation]:
    seen: set[str] = set()
    for part, path, name in items:
        if isinstance(name, str) and name:
            if name in seen:
                yield at(part, *path, message=f"a second {what} {name}", fix="rename or remove one of them")
            seen.add(name)


@rule("invalid-environment", family="admission", severity="error", outcome="rejected by the API server")
def invalid_environment(model: Model) -> Iterator[Violation]:
    """An environment variable given twice over (`value` and `valueFrom`), of two sources, or with an illegal
    name.

    A patch that adds `valueFrom` to a variable whose base has a `value` leaves both: the patch must set
    `value: null`.

        - name: TOKEN
          value: abc
          valueFrom: {secretKeyRef: {name: keys, key: token}}
    """
    for container in model.containers:
        for index, item in enumerate(container.items("env")):
            name, value, source = (mapping(item).get(key) for key in ("name", "value", "valueFrom"))
            if value and source is not None:
                yield at(
                    container,
                    "env",
                    index,
                    "valueFrom",
                    message=f"{name} has a value as well",
                    fix="set value: null in the patch, or remove one of the two",
                )
            kinds = [key for key, each in mapping(source).items() if each is not None]
            if source is not None and len(kinds) != 1:
                yield at(
                    container,
                    "env",
                    index,
                    "valueFrom",
                    message=f"{name} comes from {' and '.join(kinds) if kinds else 'nothing'}",
                    fix="give exactly one source",
                )
            if isinstance(name, str) and not re.fullmatch(r"[ -<>-~]+", name):
                yield at(
                    container,
                    "env",
                    index,
                    "name",
                    message=f"{name!r} cannot be a variable's name",
                    fix="use letters, digits and _",
                )
        for index, item in enumerate(container.items("envFrom")):
            given = [key for key in ("configMapRef", "secretRef") if mapping(item).get(key) is not None]
            if len(given) != 1:
                yield at(
                    container,
                    "envFrom",
                    index,
                    message=f"takes {' and '.join(given) if given else 'neither a ConfigMap nor a Secret'}",
                    fix="name exactly one in each item",
                )


@rule("security-contradiction", family="admission", severity="error", outcome="rejected by the API server")
def security_contradiction(model: Model) -> Iterator[Violation]:
    """Security settings that exclude each other.

    `allowPrivilegeEscalation: false` cannot be with `privileged: true` or the capability CAP_SYS_ADMIN (so
    written); a host port of a pod on the host's network must equal the container's port.

        securityContext:
          allowPrivilegeEscalation: false
          privileged: true
    """
    for workload in model.workloads:
        for container in workload.containers:
            yield from _contradictions(workload, container)


def _contradictions(workload: Workload, container: Container) -> Iterator[Violation]:
    context = mapping(container.get("securityContext"))
    if context.get("allowPrivilegeEscalation") is False:
        added = mapping(context.get("capabilities")).get("add")
        added = added if isinstance(added, list) else []
        reason = "privileged" if context.get("privileged") is True else ""
        reason = reason or next((str(each) for each in added if each == "CAP_SYS_ADMIN"), "")
        if reason:
            yield at(
                container,
                "securityContext",
                "allowPrivilegeEscalation",
                message=f"false, and the container is given {reason}",
                fix=f"remove {reason}",
            )
    if workload.get("hostNetwork") is True:
        for index, port in enumerate(container.items("ports")):
            host, own = mapping(port).get("hostPort"), mapping(port).get("containerPort")
            if host not in (None, 0, own):
                yield at(
                    container,
                    "ports",
                    index,
                    "hostPort",
                    message=f"{host}; with hostNetwork it must equal containerPort {own}",
                    fix=f"write {own}",
                )


@rule("container-without-image", family="admission", severity="error", outcome="rejected by the API server")
def container_without_image(model: Model) -> Iterator[Violation]:
    """A container without an image.

    Where a patch adds it (its name matches none of the base's), `patch-adds-container` says so instead.

        containers:
        - name: indexer
          imagePullPolicy: IfNotPresent
    """
    for container in model.containers:
        if not container.image and not added_by_patch(container):
            yield at(
                container, "image", message=f"container {container.name} has no image", fix="give it one"
            )
    for workload in model.workloads:
        if not workload.items("containers"):
            yield at(workload, "containers", message="the pod has no container", fix="give it at least one")


def added_by_patch(container: Container) -> bool:
    """Whether the container's name is written elsewhere than where its object begins."""
    return container.where("name").file != container.obj.origin.file
