"""Volumes of a pod and where its containers mount them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from preflight.cluster.workloads import Container
from preflight.model import Model
from preflight.rules.fields import mapping
from preflight.rules.registry import Violation, at, rule


@rule("invalid-volume", family="admission", severity="error", outcome="rejected by the API server")
def invalid_volume(model: Model) -> Iterator[Violation]:
    """A volume of two types, or a mount with a path that is not allowed.

    A strategic merge joins volumes by name, so a patch that gives a volume another type leaves it both,
    unless it sets the old one to null. A mountPath is not empty, a subPath is relative and without `..`.

        volumes:
        - name: data
          emptyDir: null           # the base's type
          persistentVolumeClaim: {claimName: data}
    """
    for workload in model.workloads:
        for index, volume in enumerate(workload.items("volumes")):
            kinds = [key for key, value in mapping(volume).items() if key != "name" and value is not None]
            if len(kinds) > 1:
                name = mapping(volume).get("name")
                yield at(
                    workload,
                    "volumes",
                    index,
                    kinds[-1],
                    message=f"volume {name} is {' and '.join(kinds)} at once",
                    fix="set the others to null in the patch",
                )
        for container in workload.containers:
            for index, mount in enumerate(container.items("volumeMounts")):
                yield from _mount(container, index, mapping(mount))


def _mount(container: Container, index: int, mount: dict[str, Any]) -> Iterator[Violation]:
    sub = mount.get("subPath")
    if mount.get("mountPath") == "":
        yield at(container, "volumeMounts", index, "mountPath", message="an empty path", fix="write a path")
    if isinstance(sub, str) and (sub.startswith("/") or ".." in sub.split("/")):
        yield at(
            container,
            "volumeMounts",
            index,
            "subPath",
            message=f"{sub!r} leaves the volume",
            fix=f"write {sub.lstrip('/').replace('../', '') or 'a relative path'}",
        )
    if sub and mount.get("subPathExpr"):
        yield at(
            container,
            "volumeMounts",
            index,
            "subPathExpr",
            message="subPath is given as well",
            fix="keep one of the two",
        )
