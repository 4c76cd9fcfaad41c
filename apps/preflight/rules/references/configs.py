"""ConfigMaps and Secrets that pods take as environment or as files, and the keys they take of them."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from preflight.cluster.environment import data_of
from preflight.cluster.objects import Located, Obj
from preflight.cluster.workloads import Workload
from preflight.documents.paths import Step, dig, list_at
from preflight.facts.custom_resources import made_secrets
from preflight.findings import Outcome
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import is_slip, near

SELF_FILLING = ("kubernetes.io/service-account-token",)
"""Types of Secrets whose data a controller writes."""


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """One place where a pod asks for a ConfigMap or Secret; paths are below `part`."""

    kind: str
    name: str
    part: Located
    path: tuple[Step, ...]
    """To the name."""
    keys: tuple[tuple[str, tuple[Step, ...]], ...] = ()
    """The keys asked for, each with the path to its name."""
    optional: bool
    outcome: Outcome


def uses(workload: Workload) -> Iterator[Use]:
    """Every use a workload's pods make of ConfigMaps and Secrets, as the kubelet resolves them."""
    for container in workload.containers:
        for index in range(len(container.items("envFrom"))):
            for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
                yield from _use(container, ("envFrom", index, field), kind, "name", ())
        for index, item in enumerate(container.items("env")):
            for field, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
                path = ("env", index, "valueFrom", field)
                key = dig(item, "valueFrom", field, "key")
                keys = ((key, (*path, "key")),) if isinstance(key, str) else ()
                yield from _use(container, path, kind, "name", keys)
    for index, volume in enumerate(workload.items("volumes")):
        at_volume: tuple[Step, ...] = ("volumes", index)
        yield from _files(workload, volume, at_volume, "secretName")
        for number, source in enumerate(list_at(volume, "projected", "sources")):
            yield from _files(workload, source, (*at_volume, "projected", "sources", number), "name")


def _files(workload: Workload, source: object, path: tuple[Step, ...], secret_name: str) -> Iterator[Use]:
    for field, kind, name in (("configMap", "ConfigMap", "name"), ("secret", "Secret", secret_name)):
        keys = tuple(
            (item["key"], (*path, field, "items", number, "key"))
            for number, item in enumerate(list_at(source, field, "items"))
            if isinstance(dig(item, "key"), str)
        )
        yield from _use(workload, (*path, field), kind, name, keys)


def _use(
    part: Located,
    path: tuple[Step, ...],
    kind: str,
    name: str,
    keys: tuple[tuple[str, tuple[Step, ...]], ...],
) -> Iterator[Use]:
    ref = part.obj.get(*part.path, *path)
    named = dig(ref, name)
    if isinstance(named, str) and named:
        yield Use(
            kind=kind,
            name=named,
            part=part,
            path=(*path, name),
            keys=keys,
            optional=dig(ref, "optional") is True,
            outcome="FailedMount" if path[0] == "volumes" else "CreateContainerConfigError",
        )


@rule("missing-configmap-key", family="references", severity="error", outcome="CreateContainerConfigError")
def missing_configmap_key(model: Model) -> Iterator[Violation]:
    """A key that a pod takes of a ConfigMap that lacks it.

    `configMapKeyRef` to an absent key keeps the container in CreateContainerConfigError; an item of a volume
    with an absent key keeps the pod in ContainerCreating (FailedMount). Neither the API server nor a schema
    says so.

        valueFrom:
          configMapKeyRef:
            name: vhm-config
            key: KAFKA_BOOTSTRAP   # the ConfigMap has KAFKA_BOOTSTRAP_SERVERS
    """
    yield from _keyless(model, "ConfigMap")


@rule("missing-secret-key", family="references", severity="error", outcome="CreateContainerConfigError")
def missing_secret_key(model: Model) -> Iterator[Violation]:
    """A key that a pod takes of a Secret of the render that lacks it.

    The same as for ConfigMaps: CreateContainerConfigError for an environment variable, FailedMount for a
    volume's item. Of what is `optional: true` only a slip is reported: nothing is passed on then. A Secret
    without any data is taken for one that is filled in later and only warned about. Of an ExternalSecret or
    SealedSecret the keys it names are the Secret's.

        valueFrom:
          secretKeyRef:
            name: vhm-secrets
            key: OPENAI_KEY        # the Secret has OPENAI_API_KEY
    """
    yield from _keyless(model, "Secret")


def _keyless(model: Model, kind: str) -> Iterator[Violation]:
    for workload in model.workloads:
        for use in uses(workload):
            source = model.find(kind, workload.namespace, use.name)
            made = made_secrets(model).get((workload.namespace, use.name)) if kind == "Secret" else None
            if use.kind != kind:
                continue
            if source is not None and made is None and not _fills_itself(source):
                data = set(data_of(source))
            elif source is None and made is not None and made.keys is not None:
                data = set(made.keys)
            else:
                continue
            maker = f", which {made.maker} makes," if made is not None else ""
            owner = made.maker if made is not None else f"the {kind}"
            for key, path in use.keys:
                meant = near(key, data) if key not in data else None
                # an optional key may well be absent, but not under nearly its name
                if key not in data and (meant or not use.optional):
                    so = ", so this optional key is never passed on" if use.optional else ""
                    yield at(
                        use.part,
                        *path,
                        message=f"{kind} {use.name}{maker} has no key {key}{so}"
                        + (f"; did you mean {meant}?" if meant else ""),
                        fix=f"write {meant}" if meant else f"add {key} to {owner}, or take a key it has",
                        severity="error" if data and (not so or is_slip(key, meant or "")) else "warning",
                        outcome="applies nothing" if use.optional else use.outcome,
                    )


def _fills_itself(source: Obj) -> bool:
    injected = any("inject" in key for key in (*source.labels, *source.annotations))
    return injected or source.get("type") in SELF_FILLING


@rule("mounted-key-missing", family="references", severity="error", outcome="CrashLoopBackOff")
def mounted_key_missing(model: Model) -> Iterator[Violation]:
    """A `subPath` of a ConfigMap or Secret volume that is not one of its keys.

    The kubelet then makes an empty folder of that name and mounts it: where the image has a file, the
    container cannot be started at all; where it has none, the app finds a folder instead of its file.

        volumeMounts:
        - name: config             # of ConfigMap app-config, whose key is app.conf
          mountPath: /etc/app/app.conf
          subPath: app.cnf
    """
    for workload in model.workloads:
        files = {str(volume.get("name")): _paths(workload, volume) for volume in workload.volumes}
        for container in workload.containers:
            for index, mount in enumerate(container.items("volumeMounts")):
                known, wanted = files.get(str(dig(mount, "name"))), dig(mount, "subPath")
                if known and isinstance(wanted, str) and not _has(known, wanted):
                    meant = near(wanted, known)
                    yield at(
                        container,
                        "volumeMounts",
                        index,
                        "subPath",
                        message=f"subPath {wanted}: volume {mount['name']} has no such file"
                        + (f"; did you mean {meant}?" if meant else f": it has {', '.join(sorted(known))}"),
                        fix=f"write {meant or 'one of its keys'}",
                    )


def _has(files: set[str], wanted: str) -> bool:
    wanted = wanted.strip("/")
    return any(file == wanted or file.startswith(wanted + "/") for file in files)


def _paths(workload: Workload, volume: dict[str, object]) -> set[str] | None:
    """The files of a ConfigMap or Secret volume; None where they cannot be told."""
    for field, kind, name in (("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName")):
        named = dig(volume, field, name)
        if isinstance(named, str):
            source = workload.index.find(kind, workload.namespace, named)
            if source is None or _fills_itself(source) or dig(volume, field, "optional") is True:
                return None
            items = dig(volume, field, "items")
            if isinstance(items, list):
                return {str(dig(item, "path")).strip("/") for item in items}
            return set(data_of(source))
    return None
