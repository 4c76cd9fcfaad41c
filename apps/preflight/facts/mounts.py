"""What is mounted where in a container, which of it are claims, and which files it brings."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from preflight.cluster.environment import data_of
from preflight.cluster.objects import Obj
from preflight.cluster.workloads import Container, Workload
from preflight.documents.paths import dig, list_at
from preflight.model import Model


class Mount(msgspec.Struct, frozen=True):
    """One item of `volumeMounts`: its index, the folder without `..` and a final slash, itself, and the
    pod's volume of that name (empty for a claim template)."""

    index: int
    folder: str
    item: dict[str, Any]
    volume: dict[str, Any]
    is_claim: bool
    """A claim, a template of claims, or an ephemeral one: a file system made for the pod."""

    @property
    def whole(self) -> bool:
        """Whether it is the volume's root, and no folder or file of it."""
        return not self.item.get("subPath") and not self.item.get("subPathExpr")


def mounts(container: Container) -> Iterator[Mount]:
    """Each mount of a container with an absolute path."""
    items = container.items("volumeMounts")
    if not items:
        return
    volumes = {str(volume.get("name")): volume for volume in container.workload.volumes}
    templates = (
        container.obj.items("spec", "volumeClaimTemplates") if container.obj.kind == "StatefulSet" else []
    )
    names = {dig(template, "metadata", "name") for template in templates}
    for index, item in enumerate(items):
        path = item.get("mountPath") if isinstance(item, dict) else None
        if isinstance(path, str) and path.startswith("/"):
            volume = volumes.get(str(item.get("name"))) or {}
            claim = item.get("name") in names or "persistentVolumeClaim" in volume or "ephemeral" in volume
            yield Mount(index, posixpath.normpath(path), item, volume, claim)


def below(path: str, folder: str) -> bool:
    """Whether a path is a folder or lies in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def unmounted(container: Container, folders: Iterable[str]) -> list[str]:
    """Those of the folders that are no volume, nor in one, nor hold one; /var/run is a link to /run."""
    taken = [mount.folder for mount in mounts(container)]
    taken += [f"/var{folder}" for folder in taken if below(folder, "/run")]
    taken += [folder.removeprefix("/var") for folder in taken if below(folder, "/var/run")]
    return [each for each in folders if not any(below(each, path) or below(path, each) for path in taken)]


def volume_files(
    model: Model, workload: Workload, volume: dict[str, Any]
) -> tuple[dict[str, tuple[Obj, str]], bool]:
    """The files a volume has of ConfigMaps and Secrets, by path, and whether that is all there will be."""
    if "emptyDir" in volume:
        # an init container may fill it
        filled = any(
            dig(mount, "name") == volume.get("name")
            for each in workload.containers
            if each.role == "init"
            for mount in each.items("volumeMounts")
        )
        return {}, not filled
    parts = list_at(volume, "projected", "sources") if "projected" in volume else [volume]
    files: dict[str, tuple[Obj, str]] = {}
    known = bool(parts)
    for part in parts:
        name = dig(part, "configMap", "name")
        kind = "ConfigMap" if name else "Secret"
        name = name or dig(part, "secret", "secretName") or dig(part, "secret", "name")
        source = model.find(kind, workload.namespace, str(name)) if name else None
        if source is None:
            known = False
            continue
        given = [*list_at(part, "configMap", "items"), *list_at(part, "secret", "items")]
        paths = {str(dig(item, "key")): str(dig(item, "path")) for item in given}
        for key in data_of(source):
            if not paths or key in paths:
                files[paths.get(key, key)] = (source, key)
    return files, known
