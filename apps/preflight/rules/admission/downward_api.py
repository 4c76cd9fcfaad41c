"""Fields of a pod that its own containers take as variables and files."""

from __future__ import annotations

import re
from collections.abc import Iterator

from preflight.cluster.objects import Located
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import near

OF_VARIABLES = (
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
    "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
)  # fmt: skip
OF_FILES = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
RESOURCES = tuple(
    f"{kind}.{name}" for kind in ("limits", "requests") for name in ("cpu", "memory", "ephemeral-storage")
)
KEYED = re.compile(r"metadata\.(labels|annotations)\['.+'\]|(limits|requests)\.hugepages-.+")


@rule("unknown-field-path", family="admission", severity="error", outcome="rejected by the API server")
def unknown_field_path(model: Model) -> Iterator[Violation]:
    """A variable or file of the downward API from a field that it does not offer.

    `fieldRef` has a few fields of the pod, and labels and annotations by key; `resourceFieldRef` has requests
    and limits. Names are case-sensitive: `field label not supported: spec.nodename`.

        valueFrom: {fieldRef: {fieldPath: spec.nodename}}      # spec.nodeName
    """
    for container in model.containers:
        yield from _unknown(container, "env.*.valueFrom", OF_VARIABLES)
    for workload in model.workloads:
        for pattern in ("volumes.*.downwardAPI.items.*", "volumes.*.projected.sources.*.downwardAPI.items.*"):
            yield from _unknown(workload, pattern, OF_FILES)


def _unknown(part: Located, pattern: str, known: tuple[str, ...]) -> Iterator[Violation]:
    for reference, names in (("fieldRef.fieldPath", known), ("resourceFieldRef.resource", RESOURCES)):
        for field in part.fields(f"{pattern}.{reference}"):
            path = field.doc
            if isinstance(path, str) and path not in names and not KEYED.fullmatch(path):
                same = (name for name in names if name.lower() == path.lower())
                suggestion = next(same, None) or near(path, names)
                yield at(
                    field,
                    message=f"{reference} is {path}, which is no field of a pod that the downward API offers",
                    fix=f"write {suggestion}" if suggestion else f"write one of {', '.join(names)}",
                )
