"""What cannot be changed on what is installed already: `--against REF`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from preflight.cluster.objects import Obj
from preflight.cluster.quantities import quantity
from preflight.documents.paths import Step, dig, dotted
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule

UNCHANGEABLE: dict[str, tuple[str, ...]] = {
    "Deployment": ("spec.selector",),
    "ReplicaSet": ("spec.selector",),
    "DaemonSet": ("spec.selector",),
    "StatefulSet": (
        "spec.selector",
        "spec.serviceName",
        "spec.podManagementPolicy",
        "spec.volumeClaimTemplates",
    ),
    "PersistentVolumeClaim": (
        "spec.accessModes",
        "spec.storageClassName",
        "spec.volumeName",
        "spec.volumeMode",
        "spec.selector",
    ),
    "Service": ("spec.clusterIP",),
    "Job": ("spec.selector", "spec.template", "spec.completionMode"),
    "RoleBinding": ("roleRef",),
    "ClusterRoleBinding": ("roleRef",),
    "StorageClass": ("provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"),
    "PriorityClass": ("value",),
    "IngressClass": ("spec.controller",),
    "RuntimeClass": ("handler",),
    "Secret": ("type",),
    "CustomResourceDefinition": ("spec.group", "spec.scope"),
}
"""Fields the API server does not let anybody change, by kind."""

DEFAULTS: dict[tuple[str, str], str] = {
    ("StatefulSet", "spec.podManagementPolicy"): "OrderedReady",
    ("StorageClass", "reclaimPolicy"): "Delete",
    ("StorageClass", "volumeBindingMode"): "Immediate",
    ("Job", "spec.completionMode"): "NonIndexed",
    ("Secret", "type"): "Opaque",
}
FILLED_IN = ("spec.clusterIP", "spec.volumeName")
"""Fields that the cluster fills in where the manifest has none."""


def pairs(model: Model, *kinds: str) -> Iterator[tuple[Obj, Obj]]:
    """Objects of these kinds that are installed and stay: as they were, as they will be."""
    if model.before is not None:
        for new in model.objects_of(*kinds):
            old = model.before.find(new.kind, new.namespace, new.name)
            if old is not None:
                yield old, new


@rule("field-cannot-change", family="upgrades", severity="error", outcome="rejected by the API server")
def field_cannot_change(model: Model) -> Iterator[Violation]:
    """A field that is installed with another value and cannot be changed.

    Selectors, a Job's template, a binding's role, a StatefulSet's Service and claim templates (labels count),
    a claim's class, modes and size (one that grows is a warning: its class must allow it), a Service's
    clusterIP, a storage class's parameters, the content of what is immutable. Only with `--against REF`, the
    revision that is installed. The object must be deleted first, or the new one be given another name;
    deleting a Deployment's selector means deleting its pods.

        selector:
          matchLabels: {app: indexer, tier: worker}      # was {app: indexer}
    """
    for old, new in pairs(model, *UNCHANGEABLE):
        for field in UNCHANGEABLE[new.kind]:
            path = tuple(field.split("."))
            default = DEFAULTS.get((new.kind, field))
            before, after = old.get(*path, default=default), new.get(*path, default=default)
            if field in FILLED_IN and (not after or "ExternalName" in (_type(old), _type(new))):
                continue
            if before != after:
                where = _first_difference(before, after, path)
                yield at(
                    new.field(*where),
                    message=f"{dotted(where)} of {new.ref} is installed with "
                    f"{_short(dig(old.doc, *where, default=default))} and cannot be changed",
                    fix=f"leave {field} as it was, or delete {new.ref} first",
                )
    yield from _sizes(model)
    yield from _immutable(model)


def _sizes(model: Model) -> Iterator[Violation]:
    path = ("spec", "resources", "requests", "storage")
    classes = {obj.name: obj for obj in model.objects_of("StorageClass")}
    for old, new in pairs(model, "PersistentVolumeClaim"):
        before, after = quantity(old.get(*path)), quantity(new.get(*path))
        if before is None or after is None or before == after:
            continue
        named = classes.get(str(new.get("spec", "storageClassName")))
        change = f"from {old.get(*path)} to {new.get(*path)}"
        if after < before:
            yield at(
                new.field(*path),
                message=f"{new.ref} shrinks {change}, which no claim can",
                fix=f"write {old.get(*path)}, or make a claim of another name",
            )
        elif named is None or named.get("allowVolumeExpansion") is not True:
            yield at(
                new.field(*path),
                message=f"{new.ref} grows {change}, which its storage class must allow",
                fix="see that the class says allowVolumeExpansion: true",
                severity="warning",
            )


def _immutable(model: Model) -> Iterator[Violation]:
    for old, new in pairs(model, "ConfigMap", "Secret"):
        for field in ("data", "binaryData", "stringData") if old.get("immutable") is True else ():
            before, after = old.mapping(field), new.mapping(field)
            changed = next((key for key in [*after, *before] if before.get(key) != after.get(key)), None)
            if changed is not None:
                yield at(
                    new.field(field, changed),
                    message=f"{new.ref} is installed as immutable, with another {changed}",
                    fix="give the changed one another name, as a generator's hash does",
                )


def _type(obj: Obj) -> object:
    return obj.get("spec", "type")


def _first_difference(before: Any, after: Any, path: tuple[Step, ...]) -> tuple[Step, ...]:
    """The path of the first value that differs; of what is gone, its parent's."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*after, *before]:
            if before.get(key) != after.get(key):
                inside = key in after and isinstance(after[key], dict | list)
                return (
                    _first_difference(before.get(key), after.get(key), (*path, key))
                    if inside
                    else (*path, key)
                )
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            if one != other:
                return _first_difference(one, other, (*path, index))
    return path


def _short(value: object) -> str:
    if value is None:
        return "absent"
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
