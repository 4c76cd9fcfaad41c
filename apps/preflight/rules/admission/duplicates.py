"""Names that stand twice in one pod."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from preflight.cluster.objects import Field
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule


@rule("name-twice", family="admission", severity="error", outcome="rejected by the API server")
def name_twice(model: Model) -> Iterator[Violation]:
    """Two containers, volumes, ports or mounts of one pod with the same name or path.

    A patch that repeats an item kustomize does not join by that key adds a second one.

        volumeMounts:
        - {name: a, mountPath: /data}
        - {name: b, mountPath: /data}
    """
    for workload in model.workloads:
        yield from _twice("container", (each.field("name") for each in workload.containers))
        yield from _twice("volume", workload.fields("volumes.*.name"))
        for container in workload.containers:
            yield from _twice("port", container.fields("ports.*.name"))
            yield from _twice("mountPath", container.fields("volumeMounts.*.mountPath"))


def _twice(what: str, names: Iterable[Field]) -> Iterator[Violation]:
    first: dict[str, Field] = {}
    for name in names:
        if isinstance(name.doc, str) and name.doc and first.setdefault(name.doc, name) is not name:
            yield at(
                name,
                message=f"a second {what} {name.doc}; the first is at {first[name.doc].where()}",
                fix="rename or remove one of them",
            )
