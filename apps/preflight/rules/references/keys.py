"""Keys and files that pods take of ConfigMaps and Secrets, and volumes that they mount."""

from __future__ import annotations

from collections.abc import Iterator, Set

from preflight.cluster.environment import data_of
from preflight.cluster.objects import Field, Located, Obj
from preflight.cluster.workloads import Container
from preflight.documents.paths import dig
from preflight.facts.custom_resources import made_secrets
from preflight.facts.mounts import mounts, volume_files
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import hint, is_slip, near

PLACES = (
    ("ConfigMap", "env.*.valueFrom.configMapKeyRef", "name", "key"),
    ("Secret", "env.*.valueFrom.secretKeyRef", "name", "key"),
    ("ConfigMap", "volumes.*.configMap", "name", "items.*.key"),
    ("Secret", "volumes.*.secret", "secretName", "items.*.key"),
    ("ConfigMap", "volumes.*.projected.sources.*.configMap", "name", "items.*.key"),
    ("Secret", "volumes.*.projected.sources.*.secret", "name", "items.*.key"),
)
"""What containers (`env`) and pods (`volumes`) name, where, and the fields below with its name and keys."""


@rule("missing-key", family="references", severity="error", outcome="CreateContainerConfigError")
def missing_key(model: Model) -> Iterator[Violation]:
    """A key that a pod takes of a ConfigMap or Secret that lacks it.

    `configMapKeyRef` and `secretKeyRef` to an absent key keep the container in CreateContainerConfigError, an
    item of a volume keeps the pod in ContainerCreating (FailedMount). For a `subPath` that is no key the
    kubelet makes an empty folder: the container cannot be started, or finds a folder instead of its file.
    Neither the API server nor a schema says so. Of what is `optional: true` only a slip is reported: nothing
    is passed on then. A Secret without any data is filled in later and only warned about. Of an
    ExternalSecret or SealedSecret the keys it names are the Secret's.

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
