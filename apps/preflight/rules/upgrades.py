"""What cannot be changed on what is installed already: `--against REF`, and labels that will change."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from preflight.cluster.objects import Obj
from preflight.cluster.quantities import quantity
from preflight.documents.paths import Step, dig
from preflight.model import Model
from preflight.rules.admission.workloads import claims_of
from preflight.rules.registry import Violation, at, rule

UNCHANGEABLE: dict[str, tuple[str, ...]] = {
    "Deployment": ("spec.selector",),
    "ReplicaSet": ("spec.selector",),
    "DaemonSet": ("spec.selector",),
    "StatefulSet": ("spec.selector", "spec.serviceName", "spec.podManagementPolicy"),
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
CLUSTER_IDS = ("CLUSTER_ID", "KAFKA_CLUSTER_ID", "KAFKA_CFG_CLUSTER_ID", "KAFKA_KRAFT_CLUSTER_ID")


def pairs(model: Model, *kinds: str) -> Iterator[tuple[Obj, Obj]]:
    """Objects of these kinds that are installed and stay: as they were, as they will be."""
    if model.before is not None:
        for new in model.objects_of(*kinds):
            old = model.before.find(new.kind, new.namespace, new.name)
            if old is not None:
                yield old, new


@rule("field-cannot-change", family="upgrades", severity="error", outcome="rejected by the API server")
def field_cannot_change(model: Model) -> Iterator[Violation]:
    """A field that is installed with another value and cannot be changed: selectors, a Job's template, a
    binding's role, a StatefulSet's Service, a storage class's parameters.

    Only with `--against REF`, the revision that is installed. The object must be deleted first, or the new
    one be given another name; deleting a Deployment's selector means deleting its pods.

        selector:
          matchLabels: {app: indexer, tier: worker}      # was {app: indexer}
    """
    for old, new in pairs(model, *UNCHANGEABLE):
        for field in UNCHANGEABLE[new.kind]:
            path = tuple(field.split("."))
            default = DEFAULTS.get((new.kind, field))
            before, after = old.get(*path, default=default), new.get(*path, default=default)
            if before != after:
                where = _first_difference(before, after, path)
                yield at(
                    new,
                    *where,
                    message=f"is {_short(dig(old.doc, *where, default=default))} where it is installed, "
                    "and cannot be changed",
                    fix=f"leave {field} as it was, or delete {new.ref} first",
                )


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
    """A claim that is installed, with another size, class or access mode.

    A claim's size may grow where its storage class allows it (a warning), and never shrink; nothing else of
    it changes. Claim templates of a StatefulSet do not change at all: labels count, too.

        resources:
          requests: {storage: 5Gi}      # was 10Gi
    """
    for old, new in pairs(model, "PersistentVolumeClaim", "StatefulSet"):
        if new.kind == "StatefulSet":
            before, after = (each.get("spec", "volumeClaimTemplates") for each in (old, new))
            if before != after:
                where = _first_difference(before, after, ("spec", "volumeClaimTemplates"))
                yield at(
                    new,
                    *where,
                    message="claim templates cannot be changed; it was "
                    f"{_short(dig(old.doc, *where))} where it is installed",
                    fix="leave them as they were, or delete the StatefulSet with --cascade=orphan first",
                )
            continue
        yield from _claim(model, old, new)


def _claim(model: Model, old: Obj, new: Obj) -> Iterator[Violation]:
    (_, before), (path, after) = *claims_of(old), *claims_of(new)
    for field in ("accessModes", "storageClassName", "volumeName", "volumeMode", "selector"):
        if before.get(field) != after.get(field) and (field != "volumeName" or after.get(field)):
            yield at(
                new,
                *path,
                field,
                message=f"was {_short(before.get(field))} where it is installed, and cannot be changed",
                fix="leave it as it was, or make a claim of another name",
            )
    size = ("resources", "requests", "storage")
    small, large = quantity(dig(before, *size)), quantity(dig(after, *size))
    if small is None or large is None or small == large:
        return
    classes = {each.name: each for each in model.objects_of("StorageClass")}
    named = classes.get(str(after.get("storageClassName")))
    if large < small:
        yield at(
            new, *path, *size, message=f"shrinks from {dig(before, *size)}", fix="leave the size as it was"
        )
    elif named is None or named.get("allowVolumeExpansion") is not True:
        yield at(
            new,
            *path,
            *size,
            message=f"grows from {dig(before, *size)}, which its storage class must allow",
            fix="see that the class says allowVolumeExpansion: true",
            severity="warning",
        )


@rule(
    "service-address-cannot-change", family="upgrades", severity="error", outcome="rejected by the API server"
)
def service_address_cannot_change(model: Model) -> Iterator[Violation]:
    """A Service that becomes headless, or is given another clusterIP, where it is installed already.

    clusterIP: None      # was not there: the Service has an address
    """
    for old, new in pairs(model, "Service"):
        external = "ExternalName" in (old.get("spec", "type"), new.get("spec", "type"))
        before, after = old.get("spec", "clusterIP", default=""), new.get("spec", "clusterIP", default="")
        if after and before != after and not external:
            yield at(
                new,
                "spec",
                "clusterIP",
                message=f"was {before or 'some address'} where it is installed, and cannot be changed",
                fix="leave it as it was, or make a Service of another name",
            )


@rule("immutable-data-changes", family="upgrades", severity="error", outcome="rejected by the API server")
def immutable_data_changes(model: Model) -> Iterator[Violation]:
    """An immutable ConfigMap or Secret that keeps its name and changes its content.

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
                    message=f"{changed} differs from what is installed, which is immutable",
                    fix="give the changed one another name, as a generator's hash does",
                )
        if new.get("immutable") is not True:
            yield at(
                new, "immutable", message="immutable once installed", fix="leave immutable: true as it was"
            )


@rule("cluster-id-over-volume", family="upgrades", severity="error", outcome="CrashLoopBackOff")
def cluster_id_over_volume(model: Model) -> Iterator[Violation]:
    """A Kafka broker whose cluster id changes while its volume stays.

    The volume remembers the id it was formatted with; the broker refuses to start with another
    (`Invalid cluster.id in: .../meta.properties`).

        CLUSTER_ID=5L6g3nShT-eMCtK--X86sw      # another one than installed
    """
    if model.before is None:
        return
    former = {(each.obj.ref, each.obj.namespace, each.name): each for each in model.before.containers}
    for container in model.containers:
        old = former.get((container.obj.ref, container.obj.namespace, container.name))
        claims = any(each.get("persistentVolumeClaim") for each in container.workload.volumes)
        if old is None or not (claims or container.obj.items("spec", "volumeClaimTemplates")):
            continue
        for name in CLUSTER_IDS:
            before, after = old.env.get(name), container.env.get(name)
            values = [each.value for each in (before, after) if each is not None and each.value is not None]
            if after is not None and len(values) == 2 and values[0] != values[1]:
                source = after.source
                part, path = (source, ("data", after.key)) if source else (container.obj, after.path)
                yield at(
                    part,
                    *path,
                    place=after.place,
                    message=f"{name} was {values[0]} where {container.obj.ref} is installed with its volume",
                    fix="keep the id the volume was formatted with",
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
                    message=f"{path[-1]} is part of what cannot be changed, and changes with each release",
                    fix="leave it out of selectors and claim templates",
                )
