"""Mounts that hide what the image brings, and files that never change again."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Any

from preflight.cluster.workloads import Container
from preflight.documents.paths import dig
from preflight.facts.images import ContainerImage, container_images
from preflight.facts.known_images import known
from preflight.facts.mounts import below, mounts
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import HASHED

SYSTEM = ("/", "/bin", "/etc", "/lib", "/lib64", "/sbin", "/usr", "/usr/bin", "/usr/lib")
"""Folders without which hardly any program starts."""


@rule("mount-hides-program", family="lifecycle", severity="error", outcome="RunContainerError")
def mount_hides_program(model: Model) -> Iterator[Violation]:
    """A mount over a folder of the image that holds the program it starts.

    A volume replaces the folder it is mounted on, files of the image included: `executable file not found`
    or `no such file or directory`, and for a module of Python ModuleNotFoundError. A single file is mounted
    with `subPath`.

        mountPath: /opt/vhm            # the image has its program in /opt/vhm/bin
    """
    images = container_images(model)
    for container in model.containers:
        image = images.get(container)
        for mount in mounts(container):
            folder, index = mount.folder, mount.index
            if not mount.whole or "hostPath" in mount.volume or "image" in mount.volume:
                continue
            hidden = _hidden(image, folder) if image is not None else ""
            for own in known(container.image).programs:
                hidden = hidden or (own if below(own, folder) else "")
            if folder in SYSTEM and not hidden and not _is_filled(container, mount.volume):
                hidden = folder
            if hidden:
                yield at(
                    container.field("volumeMounts", index, "mountPath"),
                    message=f"{folder} hides {hidden} of the image, where its programs are",
                    fix="mount it elsewhere, or one file of it with subPath",
                )


def _is_filled(container: Container, volume: dict[str, Any]) -> bool:
    """Whether an init container of the pod mounts the volume too, and may copy programs into it."""
    return any(
        dig(mount, "name") == volume.get("name")
        for other in container.workload.containers
        if other.role == "init" and other is not container
        for mount in other.items("volumeMounts")
    )


def _hidden(image: ContainerImage, folder: str) -> str:
    """The folder of the image that a mount hides and the container's command needs."""
    first = image.start.words[0] if image.start.words else ""
    if first.startswith("/") and below(first, folder):
        return posixpath.dirname(first)
    if "/" in first or not first:
        return ""
    path = image.stage.env.get("PATH")
    standard = ("/usr", "/bin", "/sbin")
    for entry in path.value.split(":") if path is not None else []:
        copied = any(below(entry, posixpath.normpath(copy.target)) for copy in image.stage.copies)
        if entry and not entry.startswith(standard) and copied and below(entry, folder):
            return entry
    return ""


@rule("mount-never-updates", family="lifecycle", severity="warning", outcome="runs old code")
def mount_never_updates(model: Model) -> Iterator[Violation]:
    """A file of a ConfigMap or Secret by `subPath`, whose changes never reach the running pods.

    The kubelet updates mounted folders and not single files. Nor do the pods restart: the name of the
    ConfigMap stays. A generator's content hash in the name rolls the pods, and so does an annotation with a
    checksum.

        volumeMounts:
        - {name: config, mountPath: /etc/app.conf, subPath: app.conf}
    """
    for container in model.containers:
        template = container.workload.annotations
        rolled = any("checksum" in key or "hash" in key for key in template)
        reloaded = any("reloader" in key for key in (*template, *container.obj.annotations))
        if rolled or reloaded or container.workload.kind in ("Job", "CronJob", "Pod"):
            continue
        for mount in mounts(container):
            for kind, field, name in (("ConfigMap", "configMap", "name"), ("Secret", "secret", "secretName")):
                source = dig(mount.volume, field, name)
                if not mount.item.get("subPath") or not isinstance(source, str) or HASHED.match(source):
                    continue
                made = model.find(kind, container.obj.namespace, source)
                if made is not None and made.get("immutable") is not True:
                    yield at(
                        container.field("volumeMounts", mount.index, "subPath"),
                        message=f"{mount.folder} keeps what {kind} {source} held when the pod started",
                        fix="generate it with a hash in its name, or mount the folder",
                    )
