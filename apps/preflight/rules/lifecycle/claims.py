"""Claims against the volumes that are made for them by hand."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.cluster.objects import Located, Obj, selects
from preflight.cluster.quantities import quantity
from preflight.findings import Severity
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule

WITHOUT_PROVISIONER = "kubernetes.io/no-provisioner"


@rule("claim-not-bound", family="lifecycle", severity="error", outcome="Pending")
def claim_not_bound(model: Model) -> Iterator[Violation]:
    """A claim that no PersistentVolume of its class fits.

    A claim is bound to a volume of its storageClassName that is as large, has all its access modes and bears
    the labels it selects; else its pods stay Pending: `pod has unbound immediate PersistentVolumeClaims`. An
    error where the claim names the volume, or both are the only ones of a class that nobody makes volumes of.

        accessModes: [ReadWriteMany]   # the PersistentVolume of class manual has ReadWriteOnce
    """
    volumes = model.objects_of("PersistentVolume")
    for claim in _claims(model) if volumes else ():
        wanted, named = claim.get("storageClassName"), claim.get("volumeName")
        candidates = [
            volume
            for volume in volumes
            if (
                volume.name == named
                if named
                else volume.get("spec", "storageClassName", default="") == wanted
            )
        ]
        reasons = [_unfit(claim, volume) for volume in candidates]
        if not candidates or not all(reasons):
            continue
        alone = (
            [each.get("storageClassName") for each in _claims(model)].count(wanted) == len(candidates) == 1
        )
        sure = bool(named) or (alone and not _is_made_of(model, str(wanted)))
        severity: Severity | None = None if sure else "warning"
        field, why = next(reason for reason in reasons if reason is not None)
        yield at(
            field,
            message=f"PersistentVolume {candidates[0].name} does not fit: {why}",
            fix="let the claim ask for what the volume has, or change the volume",
            severity=severity,
        )


def _claims(model: Model) -> Iterator[Located]:
    for claim in model.objects_of("PersistentVolumeClaim"):
        yield claim.field("spec")
    for workload in model.workloads:
        if workload.kind == "StatefulSet":
            yield from workload.obj.fields("spec.volumeClaimTemplates.*.spec")


def _is_made_of(model: Model, name: str) -> bool:
    """Whether volumes of a class are made by a provisioner, as far as is known."""
    found = model.find("StorageClass", "", name)
    if found is None:
        return model.config.provides("StorageClass", name)
    return bool(found.get("provisioner") != WITHOUT_PROVISIONER)


def _unfit(claim: Located, volume: Obj) -> tuple[Located, str] | None:
    """The field of a claim that a volume does not meet, and why; None where it may be bound."""
    spec = volume.field("spec")
    if claim.get("volumeName") and claim.get("storageClassName") is not None:
        own = spec.get("storageClassName", default="")
        if own != claim.get("storageClassName"):
            return claim.field("storageClassName"), f"its storageClassName is {own or 'empty'}"
    asked, has = (
        quantity(claim.get("resources", "requests", "storage")),
        quantity(spec.get("capacity", "storage")),
    )
    if asked is not None and has is not None and asked > has:
        return claim.field("resources", "requests", "storage"), f"it has {spec.get('capacity', 'storage')}"
    modes = [str(each) for each in spec.items("accessModes")]
    lacking = [str(each) for each in claim.items("accessModes") if each not in modes]
    if lacking and modes:
        return claim.field("accessModes"), f"it has {', '.join(modes)}, and not {', '.join(lacking)}"
    if claim.get("volumeMode", default="Filesystem") != spec.get("volumeMode", default="Filesystem"):
        return claim.field("volumeMode"), f"its volumeMode is {spec.get('volumeMode', default='Filesystem')}"
    selector = claim.get("selector")
    if selector is not None and not selects(selector, volume.labels):
        return claim.field("selector"), "it does not bear the labels that the claim selects"
    holder = spec.get("claimRef", "name")
    own_name = claim.obj.name if claim.obj.kind == "PersistentVolumeClaim" else None
    if own_name and holder and holder != own_name:
        return claim.field("volumeName"), f"it is kept for claim {holder}"
    return None
