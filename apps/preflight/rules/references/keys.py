"""Keys and files that pods take of ConfigMaps and Secrets, and volumes that they mount."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Set

from preflight.cluster.environment import data_of
from preflight.cluster.objects import Field, Located, Obj
from preflight.cluster.workloads import Container
from preflight.documents.paths import dig
from preflight.facts.custom_resources import made_secrets
from preflight.facts.images import command_fields
from preflight.facts.mounts import below, mounts, volume_files
from preflight.findings import Outcome, Severity
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import hint, is_slip, listed, near

PULL = (".dockerconfigjson",)
PULL_TYPES = ("kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg")
PLACES = (
    ("ConfigMap", "env.*.valueFrom.configMapKeyRef", "name", "key"),
    ("Secret", "env.*.valueFrom.secretKeyRef", "name", "key"),
    ("ConfigMap", "volumes.*.configMap", "name", "items.*.key"),
    ("Secret", "volumes.*.secret", "secretName", "items.*.key"),
    ("ConfigMap", "volumes.*.projected.sources.*.configMap", "name", "items.*.key"),
    ("Secret", "volumes.*.projected.sources.*.secret", "name", "items.*.key"),
)
"""What containers (`env`) and pods (`volumes`) name, where, and the fields below with its name and keys."""
IMPLIED: tuple[tuple[str, str, tuple[str, ...], Outcome], ...] = (
    ("Ingress", "spec.tls.*.secretName", ("tls.crt", "tls.key"), "ready but unreachable"),
    ("pod", "imagePullSecrets.*.name", PULL, "ErrImagePull"),
    ("ServiceAccount", "imagePullSecrets.*.name", PULL, "ErrImagePull"),
)
"""Who names Secrets, where, which keys they have to have, and what comes of it that they have not."""
NAMES_FILE = re.compile(r"(?:--?[\w.-]+=)?(/[\w./-]*\.\w+)")
"""A word that is a path with an ending, or an option whose value is one."""


@rule(
    "missing-key",
    family="references",
    severity="error",
    outcome="CreateContainerConfigError",
    unless=["setting-not-offered"],
)
def missing_key(model: Model) -> Iterator[Violation]:
    """A key that a pod takes of a ConfigMap or Secret that lacks it.

    `configMapKeyRef` and `secretKeyRef` to an absent key keep the container in CreateContainerConfigError, an
    item of a volume keeps the pod in ContainerCreating (FailedMount). For a `subPath` that is no key the
    kubelet makes an empty folder: the container cannot be started, or finds a folder instead of its file.
    Neither the API server nor a schema says so. Of what is `optional: true` only a slip is reported: nothing
    is passed on then. An Ingress' certificate has tls.crt and tls.key, and a pull secret .dockerconfigjson
    and the type that says so; for an account that no pod here runs under it is a warning. A file that the
    command names below such a volume has to be one of its keys: nothing else of the image is seen there. A
    Secret without any data is filled in later and only warned about. Of an ExternalSecret or SealedSecret the
    keys it names are the Secret's.

        valueFrom:
          configMapKeyRef:
            name: vhm-config
            key: KAFKA_BOOTSTRAP   # the ConfigMap has KAFKA_BOOTSTRAP_SERVERS
    """
    for workload in model.workloads:
        for kind, pattern, named, keys in PLACES:
            holders: list[Located] = [workload] if pattern.startswith("volumes") else [*workload.containers]
            for reference in (each for holder in holders for each in holder.fields(pattern)):
                name = reference.get(named)
                for key in reference.fields(keys) if isinstance(name, str) else ():
                    yield from _absent(model, kind, name, key, reference.get("optional") is True)
        for container in workload.containers:
            yield from _sub_paths(model, container)
            yield from _files_named(model, container)
    for holder, pattern, implied, outcome in IMPLIED:
        found = model.workloads if holder == "pod" else model.objects_of(holder)
        for each in found:
            # of an account that no pod here has, a controller may read the Secrets itself
            unused = isinstance(each, Obj) and each.kind == "ServiceAccount" and not _has_pods(model, each)
            for field in each.fields(pattern):
                yield from _lacking(model, field, implied, outcome, "warning" if unused else None)


def _has_pods(model: Model, account: Obj) -> bool:
    """Whether pods of the render run under a ServiceAccount."""
    names = ("serviceAccountName", "serviceAccount")
    return any(
        workload.namespace == account.namespace
        and next((workload.get(name) for name in names if workload.get(name)), "default") == account.name
        for workload in model.workloads
    )


def _absent(model: Model, kind: str, name: str, key: Field, optional: bool) -> Iterator[Violation]:
    source = model.find(kind, key.obj.namespace, name)
    made = made_secrets(model).get((key.obj.namespace, name)) if kind == "Secret" else None
    data: Set[str] | None = None
    if source is not None and made is None and not _fills_itself(source):
        data = data_of(source).keys()
    elif source is None and made is not None:
        data = made.keys
    if data is None or not isinstance(key.doc, str) or key.doc in data:
        return
    meant = near(key.doc, data)
    # an optional key may well be absent, but not under nearly its name
    if meant or not optional:
        maker, owner = (
            (f", which {made.maker} makes,", made.maker) if made is not None else ("", f"the {kind}")
        )
        so = ", so this optional key is never passed on" if optional else ""
        mounted = "volumes" in key.path
        yield at(
            key,
            message=f"{kind} {name}{maker} has no key {key.doc}{so}{hint(meant)}",
            fix=f"write {meant}" if meant else f"add {key.doc} to {owner}, or take a key it has",
            severity="error" if data and (not so or is_slip(key.doc, meant or "")) else "warning",
            outcome="applies nothing" if optional else "FailedMount" if mounted else None,
        )


def _lacking(
    model: Model, field: Field, implied: tuple[str, ...], outcome: Outcome, severity: Severity | None
) -> Iterator[Violation]:
    """A Secret that is taken for what its keys or its type do not make it."""
    name = str(field.doc)
    source = model.find("Secret", field.obj.namespace, name)
    if source is None or _fills_itself(source) or not (data := data_of(source)):
        return
    lacks = [key for key in implied if key not in data]
    kind = source.get("type", default="Opaque")
    pulls = implied == PULL and kind not in PULL_TYPES
    if (lacks and ".dockercfg" not in data) or pulls:
        yield at(
            field,
            message=f"Secret {name} has no key {' and no key '.join(lacks)}"
            if lacks
            else f"Secret {name} is of type {kind}, which the kubelet takes for no pull secret",
            fix=f"make it by kubectl create secret {'docker-registry' if implied == PULL else 'tls'} {name}",
            severity=severity,
            outcome=outcome,
        )


def _files_named(model: Model, container: Container) -> Iterator[Violation]:
    """Files of a mounted ConfigMap or Secret that the command names, and that it does not have."""
    found = sorted(mounts(container), key=lambda mount: len(mount.folder), reverse=True)
    for word in command_fields(container):
        named = NAMES_FILE.fullmatch(str(word.doc))
        path = posixpath.normpath(named[1]) if named else ""
        mount = next((each for each in found if path and below(path, each.folder)), None)
        if mount is None or path == mount.folder or not mount.whole:
            continue
        files, known = volume_files(model, container.workload, mount.volume)
        name = posixpath.relpath(path, mount.folder)
        if not known or not files or any(_fills_itself(source) for source, _ in files.values()):
            continue
        if not any(file == name or file.startswith(f"{name}/") for file in files):
            meant = near(name, files)
            yield at(
                word,
                message=f"{path} is not there: volume {mount.item.get('name')} has no {name}"
                + (hint(meant) or f", but {listed(sorted(files)[:4])}"),
                fix=f"write {mount.folder}/{meant}" if meant else "name a key of it, or add this one",
                severity=None if meant else "warning",
                outcome="CrashLoopBackOff",
            )


def _fills_itself(source: Obj) -> bool:
    """Whether a controller writes its data."""
    injected = any("inject" in key for key in (*source.labels, *source.annotations))
    return injected or source.get("type") == "kubernetes.io/service-account-token"


def _sub_paths(model: Model, container: Container) -> Iterator[Violation]:
    for mount in mounts(container):
        files, known = volume_files(model, container.workload, mount.volume)
        optional = any(dig(mount.volume, kind, "optional") is True for kind in ("configMap", "secret"))
        wanted = mount.item.get("subPath")
        if not known or optional or not isinstance(wanted, str) or not wanted.strip("/"):
            continue
        path = wanted.strip("/")
        there = any(file == path or file.startswith(f"{path}/") for file in files)
        if files and not there and not any(_fills_itself(source) for source, _ in files.values()):
            meant = near(wanted, files)
            yield at(
                container.field("volumeMounts", mount.index, "subPath"),
                message=f"subPath {wanted}: volume {mount.item.get('name')} has no such file"
                + (hint(meant) or f": it has {', '.join(sorted(files))}"),
                fix=f"write {meant or 'one of its keys'}",
                outcome="CrashLoopBackOff",
            )


@rule("mount-without-volume", family="references", severity="error", outcome="rejected by the API server")
def mount_without_volume(model: Model) -> Iterator[Violation]:
    """A `volumeMounts` (or `volumeDevices`) entry that names no volume of the pod.

    The API server refuses the workload: `volumeMounts[0].name: Not found`. A schema cannot see it, and a
    patch that renames a volume in one of the two places is all it takes.

        volumeMounts:
        - name: temp               # the volume is called tmp
          mountPath: /tmp
    """
    for container in model.containers:
        volumes = container.workload.fields("volumes.*.name")
        templates = container.obj.fields("spec.volumeClaimTemplates.*.metadata.name")
        names = [str(name.doc) for name in (*volumes, *templates)]
        for name in (*container.fields("volumeMounts.*.name"), *container.fields("volumeDevices.*.name")):
            if isinstance(name.doc, str) and name.doc and name.doc not in names:
                meant = near(name.doc, names)
                yield at(
                    name,
                    message=f"mount {name.doc}: the pod has no volume of that name{hint(meant)}",
                    fix=f"write {meant}" if meant else f"add a volume {name.doc}, or remove the mount",
                )
