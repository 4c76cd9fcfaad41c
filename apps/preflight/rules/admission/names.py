"""Names, labels and keys that the API server refuses, and names that stand twice in one pod."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

import msgspec

from preflight.cluster.objects import Field, Located
from preflight.documents.paths import Step
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import is_placeholder

LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
WORD = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?"


@lru_cache(maxsize=4096)
def _matches(pattern: str, name: str) -> bool:
    # the same names and labels stand in many places
    return re.fullmatch(pattern, name) is not None


class Grammar(msgspec.Struct, frozen=True):
    """What a name may be made of, and how long it may be."""

    pattern: str
    longest: int
    words: str

    def takes(self, name: str) -> bool:
        """Whether a name is allowed."""
        return len(name) <= self.longest and _matches(self.pattern, name)

    def nearest(self, name: str) -> str:
        """An allowed name that is like this one; empty where none is found."""
        bare = name.removeprefix("export ")
        lower = re.sub(r"[^a-z0-9]+", "-", bare.lower()).strip("-")[: self.longest].rstrip("-")
        mixed = re.sub(r"[^-.\w]+", "-", bare, flags=re.ASCII).strip("-.")[: self.longest].rstrip("-.")
        return next((each for each in (bare, mixed, lower) if each and self.takes(each)), "")


SMALL = "lower-case letters, digits and dashes"
DNS_LABEL = Grammar(LABEL, 63, SMALL)
SERVICE = Grammar(rf"(?=[a-z]){LABEL}", 63, f"{SMALL}, a letter first")
SUBDOMAIN = Grammar(rf"{LABEL}(?:\.{LABEL})*", 253, f"{SMALL}, and dots")
PORT = Grammar(r"(?=.*[a-z])[a-z0-9]+(?:-[a-z0-9]+)*", 15, SMALL)
QUALIFIED = Grammar(
    rf"(?:(?=.{{1,253}}/){SUBDOMAIN.pattern}/)?(?=.{{1,63}}$){WORD}",
    317,
    "at most 63 letters, digits, - _ and . after an optional DNS name and /",
)
VALUE = Grammar(rf"(?:{WORD})?", 63, "letters, digits, - _ and .")
KEY = Grammar(r"(?!\.\.?$)[-._a-zA-Z0-9]+", 253, "letters, digits, - _ and .")
SUBDOMAINS = (
    "ConfigMap", "DaemonSet", "Deployment", "HorizontalPodAutoscaler", "Ingress", "LimitRange",
    "NetworkPolicy", "PersistentVolume", "PersistentVolumeClaim", "Pod", "PriorityClass", "ReplicaSet",
    "ReplicationController", "ResourceQuota", "RuntimeClass", "Secret", "ServiceAccount", "StorageClass",
)  # fmt: skip
OBJECTS = dict.fromkeys(SUBDOMAINS, SUBDOMAIN) | {
    "CronJob": Grammar(SUBDOMAIN.pattern, 52, SUBDOMAIN.words),
    "Job": Grammar(SUBDOMAIN.pattern, 63, SUBDOMAIN.words),
    "Namespace": DNS_LABEL,
    "Service": SERVICE,
    # a label of its pods holds the name and a hash
    "StatefulSet": Grammar(SUBDOMAIN.pattern, 52, SUBDOMAIN.words),
}
"""Kinds whose names are judged; those of others (budgets, roles) may be nearly anything."""
SELECTORS = {
    "Deployment": "spec.selector.matchLabels",
    "StatefulSet": "spec.selector.matchLabels",
    "DaemonSet": "spec.selector.matchLabels",
    "ReplicaSet": "spec.selector.matchLabels",
    "PodDisruptionBudget": "spec.selector.matchLabels",
    "NetworkPolicy": "spec.podSelector.matchLabels",
    "Service": "spec.selector",
}


class Name(msgspec.Struct, frozen=True):
    """A text that must be a name, and where it stands."""

    part: Located
    path: tuple[Step, ...]
    text: object
    what: str
    grammar: Grammar


@rule("invalid-name", family="admission", severity="error", outcome="rejected by the API server")
def invalid_name(model: Model) -> Iterator[Violation]:
    """A name, label or key that is not allowed.

    Names of objects, containers and volumes: lower-case letters, digits and `-` (objects: `.` too), at most
    253 characters, 63 for Services, Namespaces, Jobs, containers and volumes, 52 for CronJobs; those of ports
    at most 15. Labels and their values: at most 63 letters, digits, `-`, `_` and `.`. A StatefulSet's name
    beyond 52 characters is accepted, but its pods are refused. In an env file, kustomize takes `export A=1`
    for the key `export A`.

        metadata:
          name: Resonance_Worker      # resonance-worker
    """
    for name in _names(model):
        text, grammar = name.text, name.grammar
        if not isinstance(text, str) or not text or grammar.takes(text):
            continue
        # keys are mostly variables, in capitals as words to fill in are
        if grammar is not KEY and is_placeholder(text):
            continue
        too_long = "" if len(text) <= grammar.longest else f", at most {grammar.longest} characters"
        better = grammar.nearest(text)
        later = name.what == "StatefulSet" and SUBDOMAIN.takes(text)
        yield at(
            name.part,
            *name.path,
            message=f"{name.what} {text!r} is not allowed: {grammar.words}{too_long}",
            fix=f"write {better}" if better else f"use {grammar.words}",
            outcome="no pods" if later else None,
        )


def _names(model: Model) -> Iterator[Name]:
    for obj in model.objects:
        if (grammar := OBJECTS.get(obj.kind)) is not None:
            generated = obj.get("metadata", "generateName")
            path = ("metadata", "generateName" if generated else "name")
            # what the server appends is a word of its own
            text = generated.rstrip("-") + "x" if isinstance(generated, str) and generated else obj.get(*path)
            yield Name(obj, path, text, obj.kind, grammar)
        yield from _texts(obj, "metadata.namespace", "namespace", DNS_LABEL)
        yield from _labels(obj.field("metadata"))
        if pattern := SELECTORS.get(obj.kind):
            yield from _pairs(obj.field(*pattern.split(".")))
    for config in model.objects_of("ConfigMap", "Secret"):
        for part in ("data", "binaryData", "stringData"):
            for key in config.mapping(part):
                yield Name(config, (part, key), key, "key", KEY)
    for workload in model.workloads:
        yield from _texts(workload, "volumes.*.name", "volume", DNS_LABEL)
        yield from _pairs(workload.field("nodeSelector"))
        if workload.template:
            yield from _labels(workload.obj.field(*workload.template, "metadata"))
    for container in model.containers:
        yield from _texts(container, "name", "container", DNS_LABEL)
        yield from _texts(container, "ports.*.name", "port", PORT)


def _texts(part: Located, pattern: str, what: str, grammar: Grammar) -> Iterator[Name]:
    for field in part.fields(pattern):
        yield Name(field, (), field.doc, what, grammar)


def _labels(metadata: Field) -> Iterator[Name]:
    yield from _pairs(metadata.field("labels"))
    for key in metadata.mapping("annotations"):
        # their DNS names may have capital letters
        yield Name(metadata, ("annotations", key), key.lower(), "annotation", QUALIFIED)


def _pairs(labels: Field) -> Iterator[Name]:
    for key, value in labels.mapping().items():
        yield Name(labels, (key,), key, "label", QUALIFIED)
        yield Name(labels, (key,), value, f"the value of label {key}", VALUE)


@rule("name-twice", family="admission", severity="error", outcome="rejected by the API server")
def name_twice(model: Model) -> Iterator[Violation]:
    """Two containers, volumes, ports or mounts of one pod with the same name or path.

    A patch that repeats an item kustomize does not join by that key adds a second one.

        volumeMounts:
        - {name: a, mountPath: /data}
        - {name: b, mountPath: /data}
    """
    for workload in model.workloads:
        yield from _twice("container", (each.field("name") for each in workload.containers))
        yield from _twice("volume", workload.fields("volumes.*.name"))
        for container in workload.containers:
            yield from _twice("port", container.fields("ports.*.name"))
            yield from _twice("mountPath", container.fields("volumeMounts.*.mountPath"))


def _twice(what: str, names: Iterable[Field]) -> Iterator[Violation]:
    first: dict[str, Field] = {}
    for name in names:
        if isinstance(name.doc, str) and name.doc and first.setdefault(name.doc, name) is not name:
            yield at(
                name,
                message=f"a second {what} {name.doc}; the first is at {first[name.doc].where()}",
                fix="rename or remove one of them",
            )
