"""What cannot be changed on what is installed already: `--against REF`, and labels that will change."""

from __future__ import annotations

import re
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
    a claim's class and modes, a Service's clusterIP, a storage class's parameters. Only with
    `--against REF`, the revision that is installed. The object must be deleted first, or the new
    one be given another name; deleting a Deployment's selector means deleting its pods.

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
                    new,
                    *where,
                    message=f"{dotted(where)} of {new.ref} is installed with "
                    f"{_short(dig(old.doc, *where, default=default))} and cannot be changed",
                    fix=f"leave {field} as it was, or delete {new.ref} first",
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


@rule("claim-cannot-change", family="upgrades", severity="error", outcome="rejected by the API server")
def claim_cannot_change(model: Model) -> Iterator[Violation]:
    """A claim that is installed, with another size.

    A claim may grow where its storage class allows it (a warning), and never shrinks.

        resources:
          requests: {storage: 5Gi}      # was 10Gi
    """
    size = ("spec", "resources", "requests", "storage")
    classes = {obj.name: obj for obj in model.objects_of("StorageClass")}
    for old, new in pairs(model, "PersistentVolumeClaim"):
        before, after = quantity(old.get(*size)), quantity(new.get(*size))
        if before is None or after is None or before == after:
            continue
        named = classes.get(str(new.get("spec", "storageClassName")))
        if after < before:
            yield at(
                new,
                *size,
                message=f"{new.ref} shrinks from {old.get(*size)} to {new.get(*size)}, which no claim can",
                fix=f"write {old.get(*size)}, or make a claim of another name",
            )
        elif named is None or named.get("allowVolumeExpansion") is not True:
            yield at(
                new,
                *size,
                message=f"{new.ref} grows from {old.get(*size)} to {new.get(*size)}, which its storage class "
                "must allow",
                fix="see that the class says allowVolumeExpansion: true",
                severity="warning",
            )


@rule("immutable-data-changes", family="upgrades", severity="error", outcome="rejected by the API server")
def immutable_data_changes(model: Model) -> Iterator[Violation]:
    """An immutable ConfigMap or Secret that keeps its name and changes its content.

    What is immutable once stays so: its content and the flag itself.

        immutable: true
        data: {LEVEL: DEBUG}      # was INFO
    """
    for old, new in pairs(model, "ConfigMap", "Secret"):
        if old.get("immutable") is not True:
            continue
        for field in ("data", "binaryData", "stringData"):
            before, after = old.mapping(field), new.mapping(field)
            changed = next((key for key in [*after, *before] if before.get(key) != after.get(key)), None)
            if changed is not None:
                yield at(
                    new,
                    field,
                    changed,
                    message=f"{new.ref} is installed as immutable, with another {changed}",
                    fix="give the changed one another name, as a generator's hash does",
                )
        if new.get("immutable") is not True:
            yield at(
                new,
                "immutable",
                message=f"{new.ref} is installed as immutable, which cannot be taken back",
                fix="leave immutable: true as it was",
            )


CHANGING = re.compile(r"(?:^|[/._-])(?:version|tag|build|commit|sha|revision|release-date|timestamp)$", re.I)


@rule(
    "changing-label-in-selector", family="upgrades", severity="warning", outcome="rejected by the API server"
)
def changing_label_in_selector(model: Model) -> Iterator[Violation]:
    """A label that changes with each release in a selector or in a StatefulSet's claim templates.

    Neither can be changed, so the next release is refused. kustomize puts labels there with `commonLabels`,
    `includeSelectors`, and (into claim templates) `includeTemplates`.

        labels:
        - pairs: {app.kubernetes.io/version: "1.2.0"}
          includeTemplates: true
    """
    for workload in model.workloads:
        obj = workload.obj
        found: list[tuple[Step, ...]] = [
            ("spec", "selector", "matchLabels", key)
            for key in obj.mapping("spec", "selector", "matchLabels")
            if workload.kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")
        ]
        if workload.kind == "StatefulSet":
            for index, _ in enumerate(obj.items("spec", "volumeClaimTemplates")):
                labels = ("spec", "volumeClaimTemplates", index, "metadata", "labels")
                found += [(*labels, key) for key in obj.mapping(*labels)]
        for path in {path[-1]: path for path in found}.values():
            if CHANGING.search(str(path[-1])):
                yield at(
                    obj,
                    *path,
                    message=f"label {path[-1]} changes with each release, a selector or claim template never",
                    fix="leave it out of selectors and claim templates",
                )
