"""Tables of fields: a path with `*` for every item of a list, and what stands there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec

from preflight.cluster.kinds import POD_TEMPLATE
from preflight.cluster.objects import Located, Obj
from preflight.documents.paths import Step
from preflight.model import Model


class Field(msgspec.Struct, frozen=True):
    """One value of a document, by the part it is reported for and the path below that."""

    part: Located
    path: tuple[Step, ...]
    value: Any


def reach(part: Located, pattern: str, value: Any) -> Iterator[Field]:
    """The values at `a.b.*.c` below a part, whose own value is given; absent and null ones are left out."""
    yield from _reach(part, tuple(pattern.split(".")), value, ())


def _reach(part: Located, pattern: tuple[str, ...], value: Any, path: tuple[Step, ...]) -> Iterator[Field]:
    if value is None:
        return
    if not pattern:
        yield Field(part, path, value)
    elif pattern[0] == "*":
        for index, each in enumerate(value) if isinstance(value, list) else ():
            yield from _reach(part, pattern[1:], each, (*path, index))
    elif isinstance(value, dict):
        yield from _reach(part, pattern[1:], value.get(pattern[0]), (*path, pattern[0]))


T = TypeVar("T")


def fields(
    model: Model, of_kinds: dict[str, dict[str, T]], of_pods: dict[str, T], of_containers: dict[str, T]
) -> Iterator[tuple[Field, T]]:
    """Every field that tables name: by kind of object, in pod specs, in containers of any role."""
    for obj in model.objects:
        if is_built_in(obj):
            for pattern, wanted in of_kinds.get(obj.kind, {}).items():
                for found in reach(obj, pattern, obj.doc):
                    yield found, wanted
    for workload in model.workloads:
        for pattern, wanted in of_pods.items():
            for found in reach(workload, pattern, workload.pod):
                yield found, wanted
    for container in model.containers:
        for pattern, wanted in of_containers.items():
            for found in reach(container, pattern, container.doc):
                yield found, wanted


def is_built_in(obj: Obj) -> bool:
    """Whether the object is of one of Kubernetes' own API groups."""
    return obj.group in ("", "apps", "autoscaling", "batch", "policy") or obj.group.endswith(".k8s.io")


def template_paths(obj: Obj) -> tuple[Step, ...] | None:
    """Where an object keeps its pod template, None where it has none of its own."""
    path = POD_TEMPLATE.get(obj.kind)
    return path if path else None


def mapping(value: object) -> dict[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def whole(value: object) -> int | None:
    """The value if it is a whole number."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None
