"""Quantities, and the names of what they are quantities of."""

from __future__ import annotations

import re
from collections.abc import Iterator

from preflight.cluster.objects import Located
from preflight.cluster.quantities import quantity
from preflight.documents.paths import Step
from preflight.model import Model
from preflight.rules.fields import fields, mapping
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import near

QUANTITIES_OF_KINDS: dict[str, dict[str, None]] = {
    "PersistentVolumeClaim": {"spec.resources.requests.storage": None, "spec.resources.limits.storage": None},
    "PersistentVolume": {"spec.capacity.storage": None},
    "StatefulSet": {
        "spec.volumeClaimTemplates.*.spec.resources.requests.storage": None,
        "spec.volumeClaimTemplates.*.spec.resources.limits.storage": None,
    },
}
QUANTITIES_OF_PODS: dict[str, None] = {
    "volumes.*.emptyDir.sizeLimit": None,
    "volumes.*.ephemeral.volumeClaimTemplate.spec.resources.requests.storage": None,
}


@rule("invalid-quantity", family="admission", severity="error", outcome="rejected by the API server")
def invalid_quantity(model: Model) -> Iterator[Violation]:
    """A quantity that cannot be read, or is negative.

    Quantities are a number and a suffix without a space: m for thousandths, k M G T P E for powers of 1000,
    Ki Mi Gi Ti Pi Ei for powers of 1024. `MB` and `GB` are none of them.

        memory: 512MB      # 512M, or 512Mi
    """
    found = list(fields(model, QUANTITIES_OF_KINDS, QUANTITIES_OF_PODS, {}))
    for field, _ in found:
        yield from _judged(field.part, field.path, field.value)
    for container in model.containers:
        for kind in ("requests", "limits"):
            for name, value in mapping(container.get("resources", kind)).items():
                yield from _judged(container, ("resources", kind, name), value)


def _judged(part: Located, path: tuple[Step, ...], value: object) -> Iterator[Violation]:
    amount = quantity(value)
    if isinstance(value, dict | list | bool) or (amount is not None and amount >= 0):
        return
    text = str(value)
    better = re.sub(r"(?i)\s*([kmgtpe])i?b?$", lambda match: f"{match[1].upper()}i", text)
    good = better != text and quantity(better) is not None
    yield at(
        part,
        *path,
        message=f"{text!r} is no quantity" if amount is None else f"{text} is negative",
        fix=f"write {better}" if good else "write a number with one of m k M G Ki Mi Gi, such as 512Mi",
    )


STANDARD_RESOURCES = ("cpu", "memory", "ephemeral-storage")


@rule("unknown-resource", family="admission", severity="error", outcome="rejected by the API server")
def unknown_resource(model: Model) -> Iterator[Violation]:
    """A resource of that name does not exist: only cpu, memory, ephemeral-storage, hugepages-SIZE are
    unprefixed.

    Everything else is an extended resource with a domain (`nvidia.com/gpu`); an unprefixed other name is
    refused with `must be a standard resource for containers`.

        limits:
          mem: 512Mi       # memory
    """
    meant = {"mem": "memory", "cpus": "cpu", "ram": "memory", "disk": "ephemeral-storage"}
    for container in model.containers:
        for kind in ("requests", "limits"):
            for name in mapping(container.get("resources", kind)):
                if name in STANDARD_RESOURCES or "/" in name or name.startswith("hugepages-"):
                    continue
                better = meant.get(name.lower()) or near(name, STANDARD_RESOURCES)
                yield at(
                    container,
                    "resources",
                    kind,
                    name,
                    message=f"{name!r} is no resource of containers",
                    fix=f"write {better}" if better else "write cpu, memory or ephemeral-storage",
                )
