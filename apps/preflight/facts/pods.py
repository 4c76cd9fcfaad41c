"""What a container would start with: its variables, and the files mounted into it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

import msgspec

from preflight.cluster.environment import data_of
from preflight.cluster.objects import Obj
from preflight.cluster.services import Service
from preflight.cluster.workloads import Container
from preflight.documents.paths import dig
from preflight.facts.images import container_images
from preflight.facts.mounts import mounts, volume_files
from preflight.model import Model, fact
from preflight.repository.app import Pod
from preflight.repository.build_context import copied

LARGEST = 262_144
"""Characters of a mounted file that is handed to the app: no settings are longer."""
ASSIGNED = re.compile(r"\b([A-Za-z_]\w*)=")
ADDRESS = "10.96.0.10"
"""Stands for the address that a Service will have."""


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """A container's start: the pod as its app would find it, and where what is in it comes from."""

    pod: Pod
    files: dict[str, tuple[Obj, str]]
    """Mounted file → the ConfigMap or Secret, and its key."""
    links: dict[str, Service]
    """Variable that Kubernetes sets for a Service, and nothing else sets → the Service."""


@fact
def starts(model: Model) -> dict[Container, Start]:
    """That of each container whose app is declared."""
    return {container: _start(model, container) for container in model.containers if model.app(container)}


def _start(model: Model, container: Container) -> Start:
    image = container_images(model).get(container)
    links = dict(service_links(model, container))
    # what is set in the image, then by Kubernetes for Services, then by the manifest
    values: dict[str, str | None] = {"HOSTNAME": container.workload.name}
    if image is not None:
        values |= {name: given.value for name, given in image.stage.env.items()}
    words = [*container.command, *container.args, *(image.start.words if image is not None else ())]
    values |= dict.fromkeys(name for word in words for name in ASSIGNED.findall(word))
    values |= {name: value for name, (value, _) in links.items()}
    offered = container.env
    values |= {name: None if each.missing else each.value for name, each in offered.items()}
    values = {
        name: value
        for name, value in values.items()
        if name and "=" not in name and "\0" not in name + (value or "")
    }
    files, seen, unseen = _mounted(model, container)
    texts = {path: data_of(obj)[key] for path, (obj, key) in files.items()}
    secret = [texts[path] for path, (obj, _) in files.items() if obj.kind == "Secret"]
    secret += [each.value for each in offered.values() if each.is_secret and each.value]
    copies = tuple(copied(image.dockerfile, image.stage, image.root)) if image is not None else None
    ignored = tuple((keep, each.pattern) for keep, each in image.ignore.patterns) if image is not None else ()
    given = container.get("workingDir")
    return Start(
        pod=Pod(
            state={**{name: value for name, value in values.items() if value is not None}, **texts},
            unknown=tuple(name for name, value in values.items() if value is None),
            secrets=tuple(sorted({text for text in secret if text.strip()})),
            open=not container.env_is_known,
            workdir=image.workdir
            if image is not None
            else given
            if isinstance(given, str) and given
            else "/app",
            mounts=tuple(seen),
            unseen=tuple(unseen),
            copies=copies,
            ignored=ignored,
        ),
        files=files,
        links={name: service for name, (_, service) in links.items() if name not in offered},
    )


def service_links(model: Model, container: Container) -> Iterator[tuple[str, tuple[str, Service]]]:
    """The variables that Kubernetes adds for the Services of a pod's namespace."""
    workload = container.workload
    for service in model.services if workload.get("enableServiceLinks") is not False else ():
        numbers = [port["port"] for port in service.ports if isinstance(port.get("port"), int)]
        headless = service.headless or service.obj.get("spec", "type") == "ExternalName"
        if service.namespace != workload.namespace or headless or not numbers:
            continue
        prefix = service.name.upper().replace("-", "_")
        yield f"{prefix}_SERVICE_HOST", (ADDRESS, service)
        yield f"{prefix}_SERVICE_PORT", (str(numbers[0]), service)
        yield f"{prefix}_PORT", (f"tcp://{ADDRESS}:{numbers[0]}", service)
        for port in service.ports:
            number, protocol = port.get("port"), str(port.get("protocol", "TCP"))
            if "name" in port:
                name = str(port["name"]).upper().replace("-", "_")
                yield f"{prefix}_SERVICE_PORT_{name}", (str(number), service)
            yield f"{prefix}_PORT_{number}_{protocol}", (f"{protocol.lower()}://{ADDRESS}:{number}", service)


def _mounted(model: Model, container: Container) -> tuple[dict[str, tuple[Obj, str]], list[str], list[str]]:
    """Mounted files of ConfigMaps and Secrets, mount paths whose content is known, and those whose is not."""
    files: dict[str, tuple[Obj, str]] = {}
    seen: list[str] = []
    unseen: list[str] = []
    for mount in mounts(container):
        path, sub = mount.folder, str(dig(mount.item, "subPath", default=""))
        files_of_it, known = volume_files(model, container.workload, mount.volume)
        known = known and not mount.item.get("subPathExpr")
        for name, source in files_of_it.items():
            if name == sub:
                files[path] = source
            elif not sub or name.startswith(sub + "/"):
                files[posixpath.join(path, name.removeprefix(sub).lstrip("/"))] = source
        # a single file is no folder whose further content matters
        if path not in files:
            (seen if known else unseen).append(path)
    small = {path: (obj, key) for path, (obj, key) in files.items() if len(data_of(obj)[key]) <= LARGEST}
    return small, seen, unseen
