"""Objects too large to be stored, or to be applied."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from preflight.cluster.environment import data_of
from preflight.cluster.objects import Obj
from preflight.documents.paths import strings
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule

MOST_DATA = 1024 * 1024
MOST_OBJECT = 1_500_000
"""Bytes of a request to etcd (its default)."""
MOST_ANNOTATIONS = 262_144
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@rule("object-too-large", family="admission", severity="error", outcome="rejected by the API server")
def object_too_large(model: Model) -> Iterator[Violation]:
    """An object of more bytes than are stored.

    A ConfigMap or Secret has at most 1 MiB of data, any other object 1.5 MB, all annotations together 256
    KiB. Split it, or put the data into an image or a volume.

        configMapGenerator:
        - name: model
          files: [model.onnx]          # 22 MB
    """
    for obj in model.objects:
        field, size, most = _size(obj)
        if size > most:
            yield at(
                obj,
                field,
                message=f"{field} of {obj.ref} has {size} bytes, at most {most} are stored",
                fix="split it, or keep the data in the image or on a volume",
            )
        annotations = sum(len(k.encode()) + len(v.encode()) for k, v in obj.annotations.items())
        if annotations > MOST_ANNOTATIONS:
            yield at(
                obj,
                "metadata",
                "annotations",
                message=f"annotations of {obj.ref} have {annotations} bytes, at most {MOST_ANNOTATIONS}",
                fix="keep large texts in a ConfigMap",
            )


@rule("too-large-to-apply", family="admission", severity="warning", outcome="rejected by the API server")
def too_large_to_apply(model: Model) -> Iterator[Violation]:
    """An object that `kubectl apply` cannot apply from the client's side.

    It keeps the whole object in an annotation, and annotations have at most 262144 bytes. `kubectl apply
    --server-side` has no such limit; Flux applies so, Argo CD if told to (ServerSideApply=true).

        kubectl apply --server-side -k overlays/production
    """
    for obj in model.objects:
        field, size, most = _size(obj)
        if size > most:
            continue
        doc = {**obj.doc, "metadata": {"annotations": {}, **obj.mapping("metadata")}}
        kept = len(msgspec.json.encode(doc)) + len(LAST_APPLIED) + 1
        others = sum(len(k.encode()) + len(v.encode()) for k, v in obj.annotations.items())
        if kept + others > MOST_ANNOTATIONS:
            yield at(
                obj,
                field,
                message=f"{obj.ref} has {kept} bytes, kubectl apply takes {MOST_ANNOTATIONS}",
                fix="apply it with --server-side, or split it",
            )


def _size(obj: Obj) -> tuple[str, int, int]:
    """The field that makes an object large, its bytes, and how many there may be."""
    if obj.kind in ("ConfigMap", "Secret") and obj.group == "":
        size = sum(len(value.encode("utf-8", "replace")) for value in data_of(obj).values())
        size += sum(len(value) * 3 // 4 for value in strings(obj.get("binaryData")).values())
        return ("data" if obj.mapping("data") else "binaryData"), size, MOST_DATA
    return "spec", len(msgspec.json.encode(obj.doc)), MOST_OBJECT
