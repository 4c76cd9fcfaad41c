"""Names, labels and keys that the API server refuses."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from preflight.cluster.objects import Field, Obj
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import is_placeholder

LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?")
"""A DNS label (RFC 1123), at most 63 characters."""
SERVICE_LABEL = re.compile(r"[a-z](?:[-a-z0-9]*[a-z0-9])?")
"""A DNS label (RFC 1035): starts with a letter."""
QUALIFIED = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?")
VALUE = re.compile(r"(?=.{0,63}$)(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
PORT_NAME = re.compile(r"(?=.*[a-z])[a-z0-9]+(?:-[a-z0-9]+)*")
"""An IANA service name: at most 15 of a-z, 0-9 and single dashes, at least one letter."""
CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]+")
LONGEST = {"CronJob": 52, "Job": 63, "Service": 63, "Namespace": 63}
"""Names longer than this are refused: Kubernetes makes others from them, or labels of them."""
SUBDOMAINS = (
    "ConfigMap", "CronJob", "DaemonSet", "Deployment", "HorizontalPodAutoscaler", "Ingress", "Job",
    "LimitRange", "NetworkPolicy", "PersistentVolume", "PersistentVolumeClaim", "Pod", "PriorityClass",
    "ReplicaSet", "ReplicationController", "ResourceQuota", "RuntimeClass", "Secret", "ServiceAccount",
    "StatefulSet", "StorageClass",
)  # fmt: skip
"""Built-in kinds whose names are DNS names; the names of others (budgets, roles) may be nearly anything."""
HASH_LENGTH = 11
"""Of the revision's hash and its dash, in the label that a StatefulSet's pods carry."""


@rule("invalid-name", family="admission", severity="error", outcome="rejected by the API server")
def invalid_name(model: Model) -> Iterator[Violation]:
    """A name of an object, namespace, container or volume that is not allowed.

    Lower-case letters, digits and `-` (objects: `.` too), starting and ending with a letter or digit; at most
    253 characters, 63 for Services, Namespaces, Jobs, containers and volumes, 52 for CronJobs. Services start
    with a letter. A StatefulSet's name beyond 52 characters is accepted, but its pods are refused: a label of
    theirs holds the name and a hash.

        metadata:
          name: Resonance_Worker      # resonance-worker
    """
    for obj in model.objects:
        if obj.kind in (*SUBDOMAINS, "Service", "Namespace"):
            key = "generateName" if obj.get("metadata", "generateName") else "name"
            yield from _name(obj.field("metadata", key), obj)
        namespace = obj.get("metadata", "namespace")
        if isinstance(namespace, str) and namespace:
            yield from _name(obj.field("metadata", "namespace"))
    for part, pattern in (
        *((workload, "volumes.*.name") for workload in model.workloads),
        *((container, "name") for container in model.containers),
    ):
        for name in part.fields(pattern):
            yield from _name(name)


def _name(field: Field, owner: Obj | None = None) -> Iterator[Violation]:
    """What is wrong with a name: that of an object if its `owner` is given, else a DNS label."""
    name, kind = field.doc, owner.kind if owner is not None else ""
    if not isinstance(name, str) or not name or is_placeholder(name):
        return
    longest = LONGEST.get(kind, 253 if owner is not None else 63)
    parts = name.split(".") if kind in SUBDOMAINS else [name]
    legal = SERVICE_LABEL if kind == "Service" else LABEL
    if field.path[-1] == "generateName":
        parts[-1] = parts[-1].rstrip("-") + "x"
    if len(name) > longest:
        fault = f"{len(name)} characters long, at most {longest} are allowed"
    elif not all(legal.fullmatch(part) for part in parts):
        letters = "lower-case letters, digits, dashes" + (" and dots" if kind in SUBDOMAINS else "")
        fault = f"not allowed: {letters}, " + ("a letter" if kind == "Service" else "no dash") + " first"
    elif kind == "StatefulSet" and len(name) + HASH_LENGTH > 63:
        yield at(
            field,
            message=f"StatefulSet name {name} is {len(name)} characters long: with its hash it is too "
            "long for a label of its pods",
            fix="use at most 52 characters",
            outcome="no pods",
        )
        return
    else:
        return
    yield at(field, message=f"{kind or field.path[-1]} {name!r} is {fault}", fix=f"write {_legal(name)}")


def _legal(name: str) -> str:
    """The nearest legal name."""
    text = re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.")[:50].rstrip("-.")
    return text if LABEL.fullmatch(text.replace(".", "")) else "a name such as my-app"


@rule("invalid-port-name", family="admission", severity="error", outcome="rejected by the API server")
def invalid_port_name(model: Model) -> Iterator[Violation]:
    """A port's name that is not allowed.

    At most 15 lower-case letters, digits and single dashes, with at least one letter. This holds for the
    names of container ports and wherever they are asked for (probes, `targetPort`).

        ports:
        - name: prometheus-metrics     # 18 characters
    """
    for container in model.containers:
        declared = [port for port in container.fields("ports.*.name") if port.doc != ""]
        names = {port.doc for port in declared}
        asked = [
            port
            for probe in container.probes
            for action in ("httpGet", "tcpSocket")
            for port in container.fields(f"{probe}.{action}.port")
        ]
        for name in (*declared, *(port for port in asked if port.doc not in names)):
            yield from _port_name(name)
    for service in model.services:
        pods = (container for workload in service.workloads for container in workload.containers)
        names = {port.get("name") for container in pods for port in container.fields("ports.*")}
        for target in service.fields("spec.ports.*.targetPort"):
            if target.doc not in names:
                yield from _port_name(target)


def _port_name(field: Field) -> Iterator[Violation]:
    name = field.doc
    if not isinstance(name, str) or not name or is_placeholder(name):
        return
    if len(name) > 15 or not PORT_NAME.fullmatch(name):
        short = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:15].strip("-")
        yield at(
            field,
            message=f"port name {name!r} is not allowed: at most 15 lower-case letters, digits, dashes",
            fix=f"write {short or 'http'} here and wherever it is asked for",
        )


SELECTORS = {
    "Deployment": "spec.selector.matchLabels",
    "StatefulSet": "spec.selector.matchLabels",
    "DaemonSet": "spec.selector.matchLabels",
    "ReplicaSet": "spec.selector.matchLabels",
    "PodDisruptionBudget": "spec.selector.matchLabels",
    "NetworkPolicy": "spec.podSelector.matchLabels",
    "Service": "spec.selector",
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
    for obj in model.objects:
        yield from _labels(obj.field("metadata", "labels"))
        yield from _labels(obj.field("metadata", "annotations"), values=False)
        if pattern := SELECTORS.get(obj.kind):
            yield from _labels(obj.field(*pattern.split(".")))
    for workload in model.workloads:
        template = workload.obj.field(*workload.template, "metadata")
        if workload.template:
            yield from _labels(template.field("labels"))
            yield from _labels(template.field("annotations"), values=False)
        yield from _labels(workload.field("nodeSelector"))


def _labels(labels: Field, *, values: bool = True) -> Iterator[Violation]:
    fix = "use at most 63 letters, digits, dashes, underscores and dots"
    for key, value in labels.mapping().items():
        # keys of annotations may have capital letters in their DNS name
        prefix, slash, name = (key if values else key.lower()).rpartition("/")
        if is_placeholder(key) or is_placeholder(str(value)):
            continue
        if slash and (len(prefix) > 253 or not all(LABEL.fullmatch(part) for part in prefix.split("."))):
            fault = f"key {key!r} is not allowed: what stands before / must be a DNS name"
            yield at(labels, key, message=fault, fix="write a name such as example.com/name")
        elif len(name) > 63 or not QUALIFIED.fullmatch(name):
            yield at(labels, key, message=f"key {key!r} of {labels.path[-1]} is not allowed", fix=fix)
        elif (
            values
            and isinstance(value, str)
            and value
            and (len(value) > 63 or not QUALIFIED.fullmatch(value))
        ):
            yield at(labels, key, message=f"label {key} cannot have the value {value!r}", fix=fix)


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
                if not CONFIG_KEY.fullmatch(key) or len(key) > 253 or key in (".", ".."):
                    exported = key.removeprefix("export ")
                    better = exported if exported != key else re.sub(r"[^-._a-zA-Z0-9]+", "_", key)[:253]
                    yield at(
                        obj,
                        field,
                        key,
                        message=f"key {key!r} of {obj.ref} is not allowed: letters, digits, - _ and .",
                        fix=f"write {better}",
                    )
        for key in obj.mapping("data").keys() & obj.mapping("binaryData").keys():
            yield at(
                obj,
                "binaryData",
                key,
                message=f"key {key} of {obj.ref} is in data and in binaryData",
                fix="keep it in one of the two",
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
            if isinstance(value, str) and not is_placeholder(value) and not _is_base64(value):
                yield at(
                    obj,
                    "data",
                    key,
                    message=f"the value of {key} under data of {obj.ref} is not base64",
                    fix="put it under stringData, or encode it",
                )


def _is_base64(value: str) -> bool:
    try:
        base64.b64decode(re.sub(r"[\r\n]", "", value), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True
