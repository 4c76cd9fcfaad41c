"""Values that the API server refuses: quantities, base64, fields of the downward API, and sheer size."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

import msgspec

from preflight.cluster.environment import data_of
from preflight.cluster.objects import Field, Located, Obj
from preflight.cluster.quantities import quantity
from preflight.documents.paths import strings
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import is_placeholder, near

STORAGE = {
    "PersistentVolumeClaim": "spec.resources.requests.storage",
    "PersistentVolume": "spec.capacity.storage",
    "StatefulSet": "spec.volumeClaimTemplates.*.spec.resources.requests.storage",
}
OF_VARIABLES = (
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
    "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
)  # fmt: skip
OF_FILES = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
RESOURCES = tuple(
    f"{kind}.{name}" for kind in ("limits", "requests") for name in ("cpu", "memory", "ephemeral-storage")
)
KEYED = re.compile(r"metadata\.(labels|annotations)\['.+'\]|(limits|requests)\.hugepages-.+")
MOST_DATA = 1024 * 1024
MOST_OBJECT = 1_500_000
"""Bytes of a request to etcd (its default)."""
MOST_ANNOTATIONS = 262_144
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


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
        good = better != str(field.doc) and quantity(better) is not None
        fault = "not a quantity" if amount is None else "negative"
        yield at(
            field,
            message=f"{field.path[-1]}: {field.doc!r} is {fault}",
            fix=f"write {better}" if good else "write a number with one of m k M G Ki Mi Gi, such as 512Mi",
        )


def _quantities(model: Model) -> Iterator[Field]:
    for obj in model.objects_of(*STORAGE):
        yield from obj.fields(STORAGE[obj.kind])
    for workload in model.workloads:
        yield from workload.fields("volumes.*.emptyDir.sizeLimit")
    for container in model.containers:
        for kind in ("requests", "limits"):
            resources = container.field("resources", kind)
            yield from (resources.field(name) for name in resources.mapping())


@rule("mode-in-decimal", family="admission", severity="warning", outcome="CrashLoopBackOff")
def mode_in_decimal(model: Model) -> Iterator[Violation]:
    """The mode of a file that is written without its leading zero.

    YAML reads `400` as a decimal number, which is the mode 0620: ssh refuses such a key, and a script is not
    executable. What exceeds 0777, as 644 and 755 do, the API server rejects.

        defaultMode: 400       # 0400
    """
    for workload in model.workloads:
        for pattern in MODES:
            for field in workload.fields(pattern):
                number = field.doc
                if number in SLIPS or (
                    type(number) is int and number > 0o777 and OCTAL.fullmatch(str(number))
                ):
                    yield at(
                        field,
                        message=f"{field.path[-1]} {number} is a decimal number, the mode {number:04o}",
                        fix=f"write 0{number}",
                        severity="error" if number > 0o777 else None,
                        outcome="rejected by the API server" if number > 0o777 else None,
                    )


MODES = tuple(
    f"volumes.*.{source}.{field}"
    for source in ("configMap", "secret", "projected", "downwardAPI", "projected.sources.*.*")
    for field in ("defaultMode", "items.*.mode")
)
SLIPS = (400, 440, 444, 500)
"""Usual modes, which are read as unusual ones; 256, 288, 292, 384, 420 and 493 are usual in decimal."""
OCTAL = re.compile(r"[4-7][0-7]{2}")


@rule("secret-not-base64", family="admission", severity="error", outcome="rejected by the API server")
def secret_not_base64(model: Model) -> Iterator[Violation]:
    """A value under a Secret's `data` that is not base64.

    `data` holds encoded values, `stringData` plain ones.

        data:
          API_KEY: sk-12345      # stringData, or its base64
    """
    for obj in model.objects_of("Secret"):
        for key, value in strings(obj.get("data")).items():
            if not is_placeholder(value) and not _is_base64(value):
                yield at(
                    obj.field("data", key),
                    message=f"the value of {key} under data of {obj.ref} is not base64",
                    fix="put it under stringData, or encode it",
                )


def _is_base64(value: str) -> bool:
    try:
        base64.b64decode(re.sub(r"[\r\n]", "", value), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


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


NO_ANNOTATIONS = '"annotations":{},'
"""What client-side apply writes where an object has none."""


@rule("object-too-large", family="admission", severity="error", outcome="rejected by the API server")
def object_too_large(model: Model) -> Iterator[Violation]:
    """An object of more bytes than are stored, or than `kubectl apply` can apply from the client's side.

    A ConfigMap or Secret has at most 1 MiB of data, any other object 1.5 MB, all annotations together 256
    KiB. Client-side apply keeps the whole object in an annotation: beyond 262144 bytes it needs
    `--server-side` (a warning). Flux applies so, Argo CD if told to (ServerSideApply=true).

        configMapGenerator:
        - name: model
          files: [model.onnx]          # 22 MB
    """
    for obj in model.objects:
        whole = len(msgspec.json.encode(obj.doc))
        if whole < MOST_ANNOTATIONS // 4:  # with its annotations and a copy of itself among them it fits
            continue
        whole += len(NO_ANNOTATIONS) if "annotations" not in obj.mapping("metadata") else 0
        field, size, most = _size(obj, whole)
        annotations = sum(len(k.encode()) + len(v.encode()) for k, v in obj.annotations.items())
        kept = annotations + whole + len(LAST_APPLIED) + 1
        if size > most:
            yield at(
                obj.field(field),
                message=f"{field} of {obj.ref} has {size} bytes, at most {most} are stored",
                fix="split it, or keep the data in the image or on a volume",
            )
        elif annotations > MOST_ANNOTATIONS:
            yield at(
                obj.field("metadata", "annotations"),
                message=f"annotations of {obj.ref} have {annotations} bytes, at most {MOST_ANNOTATIONS}",
                fix="keep large texts in a ConfigMap",
            )
        elif kept > MOST_ANNOTATIONS:
            yield at(
                obj.field(field),
                message=f"{obj.ref} has {kept} bytes, kubectl apply takes {MOST_ANNOTATIONS}",
                fix="apply it with --server-side, or split it",
                severity="warning",
            )


def _size(obj: Obj, whole: int) -> tuple[str, int, int]:
    """The field that makes an object large, its bytes, and how many there may be; `whole` counts all of
    them."""
    if obj.kind in ("ConfigMap", "Secret") and obj.group == "":
        size = sum(len(value.encode("utf-8", "replace")) for value in data_of(obj).values())
        size += sum(len(value) * 3 // 4 for value in strings(obj.get("binaryData")).values())
        return ("data" if obj.mapping("data") else "binaryData"), size, MOST_DATA
    return "spec", whole, MOST_OBJECT
