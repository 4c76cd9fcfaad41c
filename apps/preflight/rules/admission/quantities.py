"""Quantities that cannot be read."""

from __future__ import annotations

import re
from collections.abc import Iterator

from preflight.cluster.objects import Field
from preflight.cluster.quantities import quantity
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import is_placeholder

OF_OBJECTS = {
    "PersistentVolumeClaim": ("spec.resources.requests.storage", "spec.resources.limits.storage"),
    "PersistentVolume": ("spec.capacity.storage",),
    "StatefulSet": ("spec.volumeClaimTemplates.*.spec.resources.requests.storage",),
}
OF_PODS = (
    "volumes.*.emptyDir.sizeLimit",
    "volumes.*.ephemeral.volumeClaimTemplate.spec.resources.requests.storage",
)


@rule("invalid-quantity", family="admission", severity="error", outcome="rejected by the API server")
def invalid_quantity(model: Model) -> Iterator[Violation]:
    """A quantity that cannot be read, or is negative.

    Quantities are a number and a suffix without a space: m for thousandths, k M G T P E for powers of 1000,
    Ki Mi Gi Ti Pi Ei for powers of 1024. `MB` and `GB` are none of them.

        memory: 512MB      # 512M, or 512Mi
    """
    for field in _quantities(model):
        amount = quantity(field.doc)
        if not isinstance(field.doc, str | int | float) or isinstance(field.doc, bool):
            continue
        if (amount is not None and amount >= 0) or is_placeholder(str(field.doc)):
            continue
        better = re.sub(r"(?i)\s*([kmgtpe])i?b?$", lambda match: f"{match[1].upper()}i", str(field.doc))
        fault = "not a quantity" if amount is None else "negative"
        good = better != str(field.doc) and quantity(better) is not None
        yield at(
            field,
            message=f"{field.path[-1]}: {field.doc!r} is {fault}",
            fix=f"write {better}" if good else "write a number with one of m k M G Ki Mi Gi, such as 512Mi",
        )


def _quantities(model: Model) -> Iterator[Field]:
    for kind, patterns in OF_OBJECTS.items():
        for obj in model.objects_of(kind):
            for pattern in patterns:
                yield from obj.fields(pattern)
    for workload in model.workloads:
        for pattern in OF_PODS:
            yield from workload.fields(pattern)
    for container in model.containers:
        for kind in ("requests", "limits"):
            resources = container.field("resources", kind)
            yield from (resources.field(name) for name in resources.mapping())
