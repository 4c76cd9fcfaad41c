"""Names, labels, annotation keys, keys of ConfigMaps and Secrets."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from preflight.cluster.objects import Located, Obj
from preflight.documents.paths import Step
from preflight.model import Model
from preflight.rules.fields import fields, is_built_in, mapping, template_paths
from preflight.rules.registry import Violation, at, rule

LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?")
"""A DNS label (RFC 1123), at most 63 characters."""
SERVICE_LABEL = re.compile(r"[a-z](?:[-a-z0-9]*[a-z0-9])?")
"""A DNS label (RFC 1035): starts with a letter."""
QUALIFIED = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?")
CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]+")
LONGEST = {"CronJob": 52, "Job": 63, "Service": 63, "Namespace": 63}
"""Names longer than this are refused: Kubernetes makes others from them, or labels of them."""
PATH_SEGMENTS = ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")
HASH_LENGTH = 11
"""Of the revision's hash and its dash, in the label that a StatefulSet's pods carry."""


@rule("invalid-name", family="admission", severity="error", outcome="rejected by the API server")
def invalid_name(model: Model) -> Iterator[Violation]:
    """A name of an object, container, volume or namespace that is not allowed.

    Lower-case letters, digits and `-` (objects: `.` too), starting and ending with a letter or digit; at most
    253 characters, 63 for Services, Namespaces, containers and volumes, 52 for CronJobs. Services start with
    a letter. A StatefulSet's name beyond 52 characters is accepted, but its pods are refused: a label of
    theirs holds the name and a hash.

        metadata:
          name: Resonance_Worker      # resonance-worker
    """
    for obj in model.objects:
        problem = name_problem(obj)
        if problem:
            yield at(obj, *_name_path(obj), message=problem, fix=f"write {_legal(obj.name)}")
        elif obj.kind == "StatefulSet" and len(obj.name) + HASH_LENGTH > 63:
            yield at(
                obj,
                "metadata",
                "name",
                message=f"{len(obj.name)} characters, with a hash behind it more than a label may have (63)",
                fix="use at most 52 characters",
                outcome="no pods",
            )
        namespace = obj.get("metadata", "namespace")
        if isinstance(namespace, str) and (len(namespace) > 63 or not LABEL.fullmatch(namespace)):
            yield at(
                obj,
                "metadata",
                "namespace",
                message=f"{namespace!r} cannot be a namespace's name",
                fix=f"write {_legal(namespace)}",
            )
    for part, path, name in _inner_names(model):
        if len(name) > 63 or not LABEL.fullmatch(name):
            yield at(
                part,
                *path,
                message=f"{name!r}: lower-case letters, digits and dashes, at most 63",
                fix=f"write {_legal(name)}",
            )


def name_problem(obj: Obj) -> str:
    """What is wrong with an object's name, empty where nothing is."""
    name = obj.name
    if not name:
        return "no name" if obj.get("metadata", "generateName") is None else ""
    if obj.get("metadata", "name") is None:
        name = name.rstrip("-") + "x"
    if obj.kind in PATH_SEGMENTS and obj.group == "rbac.authorization.k8s.io":
        return f"{name!r} has a / or %" if "/" in name or "%" in name or name in (".", "..") else ""
    longest = LONGEST.get(obj.kind, 253) if is_built_in(obj) else 253
    if len(name) > longest:
        return f"{len(name)} characters; a {obj.kind}'s name has at most {longest}"
    if obj.kind == "Service" and obj.group == "":
        legal = SERVICE_LABEL.fullmatch(name)
        return "" if legal else f"{name!r}: a letter, then lower-case letters, digits, dashes"
    if obj.kind == "Namespace":
        return "" if LABEL.fullmatch(name) else f"{name!r}: lower-case letters, digits and dashes"
    legal_parts = all(LABEL.fullmatch(each) for each in name.split("."))
    return "" if legal_parts else f"{name!r}: lower-case letters, digits, dashes and dots"


def _name_path(obj: Obj) -> tuple[Step, ...]:
    return ("metadata", "generateName") if obj.get("metadata", "generateName") else ("metadata", "name")


def _inner_names(model: Model) -> Iterator[tuple[Located, tuple[Step, ...], str]]:
    for container in model.containers:
        if container.name:
            yield container, ("name",), container.name
    for workload in model.workloads:
        for index, volume in enumerate(workload.items("volumes")):
            name = mapping(volume).get("name")
            if isinstance(name, str):
                yield workload, ("volumes", index, "name"), name


def _legal(name: str) -> str:
    """The nearest legal name."""
    text = re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.")[:50].rstrip("-.")
    return text if LABEL.fullmatch(text.replace(".", "")) else "a name such as my-app"


LABELS_OF_KINDS: dict[str, dict[str, None]] = {
    "Service": {"spec.selector": None},
    **{
        kind: {"spec.selector.matchLabels": None}
        for kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "PodDisruptionBudget")
    },
    "NetworkPolicy": {
        "spec.podSelector.matchLabels": None,
        "spec.ingress.*.from.*.podSelector.matchLabels": None,
        "spec.ingress.*.from.*.namespaceSelector.matchLabels": None,
        "spec.egress.*.to.*.podSelector.matchLabels": None,
        "spec.egress.*.to.*.namespaceSelector.matchLabels": None,
    },
}


@rule("invalid-label", family="admission", severity="error", outcome="rejected by the API server")
def invalid_label(model: Model) -> Iterator[Violation]:
    """A label, a selector or an annotation key that is not allowed.

    A key is a name of at most 63 letters, digits, `-`, `_`, `.`, with an optional DNS name and `/` before it;
    a label's value obeys the same and may be empty. Spaces, slashes and long sentences belong into
    annotations, whose values are free.

        labels:
          team: data platform      # data-platform
    """
    for part, path, labels in _label_maps(model):
        for key, value in labels.items():
            problem = key_problem(key)
            if not problem and isinstance(value, str) and value:
                legal = len(value) <= 63 and QUALIFIED.fullmatch(value)
                problem = "" if legal else f"{value!r} cannot be a label's value"
            if problem:
                yield at(part, *path, key, message=problem, fix="use letters, digits, - _ . and at most 63")
    for part, path, notes in _annotation_maps(model):
        for key in notes:
            problem = key_problem(key.lower())
            if problem:
                yield at(part, *path, key, message=problem, fix="use letters, digits, - _ . and at most 63")


def key_problem(key: str) -> str:
    """What is wrong with a label's or annotation's key, empty where nothing is."""
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > 253 or not all(LABEL.fullmatch(each) for each in prefix.split("."))):
        return f"{key!r}: what stands before / must be a DNS name"
    if not QUALIFIED.fullmatch(name) or len(name) > 63:
        return f"{key!r} cannot be a key"
    return ""


def _label_maps(model: Model) -> Iterator[tuple[Located, tuple[Step, ...], dict[str, object]]]:
    for obj in model.objects:
        yield obj, ("metadata", "labels"), obj.mapping("metadata", "labels")
        template = template_paths(obj)
        if template is not None:
            yield obj, (*template, "metadata", "labels"), obj.mapping(*template, "metadata", "labels")
    for field, _ in fields(model, LABELS_OF_KINDS, {"nodeSelector": None}, {}):
        yield field.part, field.path, mapping(field.value)


def _annotation_maps(model: Model) -> Iterator[tuple[Located, tuple[Step, ...], dict[str, object]]]:
    for obj in model.objects:
        yield obj, ("metadata", "annotations"), obj.mapping("metadata", "annotations")
        template = template_paths(obj)
        if template is not None:
            yield (
                obj,
                (*template, "metadata", "annotations"),
                obj.mapping(*template, "metadata", "annotations"),
            )


@rule("invalid-key", family="admission", severity="error", outcome="rejected by the API server")
def invalid_key(model: Model) -> Iterator[Violation]:
    """A key of a ConfigMap or Secret that is not allowed, or that is in `data` and `binaryData` both.

    Letters, digits, `-`, `_` and `.`, at most 253. In an env file, kustomize takes `export A=1` for the key
    `export A`.

        export LOG_LEVEL=INFO      # LOG_LEVEL=INFO
    """
    for obj in model.objects_of("ConfigMap", "Secret"):
        for field in ("data", "binaryData", "stringData"):
            for key in obj.mapping(field):
                export = key.removeprefix("export ")
                if not CONFIG_KEY.fullmatch(key) or len(key) > 253 or key in (".", ".."):
                    better = export if export != key else re.sub(r"[^-._a-zA-Z0-9]+", "_", key)[:253]
                    yield at(obj, field, key, message=f"{key!r} cannot be a key", fix=f"write {better}")
        for key in obj.mapping("data").keys() & obj.mapping("binaryData").keys():
            yield at(
                obj, "binaryData", key, message=f"{key} is in data as well", fix="keep it in one of the two"
            )


@rule("secret-not-base64", family="admission", severity="error", outcome="rejected by the API server")
def secret_not_base64(model: Model) -> Iterator[Violation]:
    """A value under a Secret's `data` that is not base64.

    `data` holds encoded values, `stringData` plain ones.

        data:
          API_KEY: sk-12345      # stringData, or its base64
    """
    for obj in model.objects_of("Secret"):
        for key, value in obj.mapping("data").items():
            if isinstance(value, str) and not _is_base64(value):
                yield at(
                    obj,
                    "data",
                    key,
                    message=f"the value of {key} is not base64",
                    fix="put it under stringData, or encode it",
                )


def _is_base64(value: str) -> bool:
    try:
        base64.b64decode(re.sub(r"[\r\n]", "", value), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True
