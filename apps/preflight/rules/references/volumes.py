"""Volumes, claims and the classes they are made from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from preflight.cluster.objects import Obj
from preflight.cluster.workloads import Workload
from preflight.documents.paths import Step, dig
from preflight.facts.existence import missing
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import near


@rule("mount-without-volume", family="references", severity="error", outcome="rejected by the API server")
def mount_without_volume(model: Model) -> Iterator[Violation]:
    """A `volumeMounts` (or `volumeDevices`) entry that names no volume of the pod.

    The API server refuses the workload: `volumeMounts[0].name: Not found`. A schema cannot see it, and a
    patch that renames a volume in one of the two places is all it takes.

        volumeMounts:
        - name: temp               # the volume is called tmp
          mountPath: /tmp
    """
    for workload in model.workloads:
        names = [str(volume.get("name")) for volume in workload.volumes] + [
            str(dig(template, "metadata", "name")) for template in _templates(workload.obj)
        ]
        for container in workload.containers:
            for field in ("volumeMounts", "volumeDevices"):
                for index, mount in enumerate(container.items(field)):
                    name = dig(mount, "name")
                    if isinstance(name, str) and name and name not in names:
                        meant = near(name, names)
                        yield at(
                            container,
                            field,
                            index,
                            "name",
                            message=f"the pod has no volume {name}"
                            + (f"; did you mean {meant}?" if meant else ""),
                            fix=f"write {meant}" if meant else f"add a volume {name}, or remove the mount",
                        )


@rule("missing-claim", family="references", severity="warning", outcome="Pending")
def missing_claim(model: Model) -> Iterator[Violation]:
    """A PersistentVolumeClaim that a pod mounts and nobody makes.

    The scheduler leaves the pod Pending: `persistentvolumeclaim "x" not found`. Claims can be made elsewhere,
    so this is an error only where the render holds one of nearly that name, or where a StatefulSet of the
    render makes claims of that pattern and not this one.

        volumes:
        - name: data
          persistentVolumeClaim:
            claimName: data-kafka-3    # the StatefulSet has one replica: data-kafka-0
    """
    for workload in model.workloads:
        # a StatefulSet's claim takes the place of a volume of the same name
        replaced = [dig(template, "metadata", "name") for template in _templates(workload.obj)]
        for index, volume in enumerate(workload.items("volumes")):
            name = dig(volume, "persistentVolumeClaim", "claimName")
            if not isinstance(name, str) or dig(volume, "name") in replaced:
                continue
            if _is_generated(model, workload.namespace, name):
                continue
            beyond = _beyond(model, workload.namespace, name)
            absent = missing(model, "PersistentVolumeClaim", workload.namespace, name)
            if absent is not None:
                why = f": {beyond}" if beyond else absent.hint
                yield at(
                    workload,
                    "volumes",
                    index,
                    "persistentVolumeClaim",
                    "claimName",
                    message=f"claim {name} is not among what is applied to {workload.namespace}{why}",
                    fix=f"write {absent.meant}"
                    if absent.meant
                    else "make the claim, or name it in `provided` of [tool.preflight]",
                    severity="error" if beyond else absent.severity,
                )


def _templates(obj: Obj) -> list[Any]:
    return obj.items("spec", "volumeClaimTemplates") if obj.kind == "StatefulSet" else []


def _owners(model: Model, namespace: str, name: str) -> Iterator[tuple[Workload, int]]:
    """The StatefulSets whose claims are named like this, with the ordinal in the name."""
    match = re.fullmatch(r"(.+)-(\d+)", name)
    for workload in model.workloads if match else ():
        if match and workload.kind == "StatefulSet" and workload.namespace == namespace:
            for template in _templates(workload.obj):
                if match[1] == f"{dig(template, 'metadata', 'name')}-{workload.name}":
                    yield workload, int(match[2])


def _is_generated(model: Model, namespace: str, name: str) -> bool:
    return any(ordinal < each.replicas for each, ordinal in _owners(model, namespace, name))


def _beyond(model: Model, namespace: str, name: str) -> str:
    for each, _ in _owners(model, namespace, name):
        return f"StatefulSet {each.name} has {each.replicas} replicas, numbered from 0"
    return ""


@rule("missing-storage-class", family="references", severity="warning", outcome="Pending")
def missing_storage_class(model: Model) -> Iterator[Violation]:
    """A StorageClass that a claim asks for and that the render does not hold.

    Without it nothing provisions a volume, and the pod that mounts the claim stays Pending. Classes usually
    come with the cluster: name the ones yours has in `provided`. A class that PersistentVolumes of the
    render name needs no object.

        storageClassName: fast-sdd     # provided: StorageClass/fast-ssd
    """
    static = [volume.get("spec", "storageClassName") for volume in model.objects_of("PersistentVolume")]
    provided = [name for ref in model.config.provided if (name := _after(ref, "StorageClass/"))]
    for obj, path in _claims(model):
        name = obj.get(*path, "storageClassName")
        if not isinstance(name, str) or name in static:
            continue
        absent = missing(model, "StorageClass", "", name)
        if absent is not None:
            meant = absent.meant or near(name, provided)
            yield at(
                obj,
                *path,
                "storageClassName",
                message=f"StorageClass {name} is not known here"
                + (f"; did you mean {meant}?" if meant else ""),
                fix=f"write {meant}"
                if meant
                else f'say provided = ["StorageClass/{name}"] in [tool.preflight], or leave it out to take '
                "the cluster's default",
                severity="error" if meant else absent.severity,
            )


def _after(ref: str, prefix: str) -> str:
    return ref.removeprefix(prefix) if ref.startswith(prefix) else ""


def _claims(model: Model) -> Iterator[tuple[Obj, tuple[Step, ...]]]:
    """The specs of all claims: objects, claim templates, and volumes' own claim templates."""
    for obj in model.objects_of("PersistentVolumeClaim"):
        yield obj, ("spec",)
    for workload in model.workloads:
        for index, _ in enumerate(_templates(workload.obj)):
            yield workload.obj, ("spec", "volumeClaimTemplates", index, "spec")
        for index, volume in enumerate(workload.items("volumes")):
            if dig(volume, "ephemeral", "volumeClaimTemplate") is not None:
                path = ("volumes", index, "ephemeral", "volumeClaimTemplate", "spec")
                yield workload.obj, (*workload.path, *path)


@rule("missing-volume", family="references", severity="warning", outcome="Pending")
def missing_volume(model: Model) -> Iterator[Violation]:
    """A claim bound by name to a PersistentVolume that the render does not hold.

    `volumeName` binds the claim to that volume and no other: while there is none of the name, the claim and
    its pod stay Pending.

        spec:
          volumeName: memories-pv      # the PersistentVolume is memory-pv
    """
    for obj, path in _claims(model):
        name = obj.get(*path, "volumeName")
        absent = missing(model, "PersistentVolume", "", name) if isinstance(name, str) else None
        if absent is not None:
            yield at(
                obj,
                *path,
                "volumeName",
                message=f"PersistentVolume {name} is not among what is applied{absent.hint}",
                fix=f"write {absent.meant}" if absent.meant else "make the volume, or leave volumeName out",
                severity=absent.severity,
            )
