"""What pods write: data on volumes that last, and other paths where the root is read-only."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.cluster import image_reference
from preflight.cluster.workloads import Container
from preflight.documents.paths import dig
from preflight.model import Model
from preflight.rules.lifecycle.mounts import below, mounts
from preflight.rules.registry import Violation, at, rule

DATA = {
    "apache/kafka": ("KAFKA_LOG_DIRS", "/tmp/kraft-combined-logs"),  # noqa: S108 - Kafka's own default
    "qdrant/qdrant": ("QDRANT__STORAGE__STORAGE_PATH", "/qdrant/storage"),
    "postgres": ("PGDATA", "/var/lib/postgresql"),
    "mysql": ("", "/var/lib/mysql"),
    "mariadb": ("", "/var/lib/mysql"),
    "mongo": ("", "/data/db"),
    "redis": ("", "/data"),
    "rabbitmq": ("", "/var/lib/rabbitmq"),
}
"""Image → the variable that says where its data is, and where it is otherwise."""
VOLUMES = ("postgres", "mysql", "mariadb", "mongo", "redis", "rabbitmq")
"""Images that declare their data folder a VOLUME: what the runtime puts there is writable on any root."""
WRITES = {
    "apache/kafka": ("/opt/kafka/config", "/opt/kafka/logs"),
    "nginx": ("/var/cache/nginx", "/var/run"),
    "postgres": ("/var/run/postgresql",),
    "mysql": ("/var/run/mysqld",),
}
"""Image → folders it does not start without writing to."""


def _known(container: Container) -> str:
    name = image_reference.parse(container.image)
    return name.official or name.name.removeprefix("docker.io/")


def data_folder(container: Container) -> tuple[str, str]:
    """Where a well-known image keeps its data and the variable that says so; empty where it is not known."""
    variable, default = DATA.get(_known(container), ("", ""))
    offered = container.env.get(variable)
    if offered is not None and offered.value:
        return offered.value.split(",")[0], variable
    if not container.env_is_known or container.command or container.args:
        return "", ""
    return default, variable


@rule("data-not-on-its-volume", family="lifecycle", severity="error", outcome="applies nothing")
def data_not_on_its_volume(model: Model) -> Iterator[Violation]:
    """A database or broker with a claim that is mounted elsewhere than where it writes.

    The claim stays empty, and what was stored is gone with the container; where a variable chose the folder
    and the root is read-only, the container ends at its first write. Known are Kafka, Qdrant, PostgreSQL,
    MySQL, MariaDB, MongoDB, Redis and RabbitMQ.

        KAFKA_LOG_DIRS=/var/lib/kafka/log        # the claim is mounted at /var/lib/kafka/data
    """
    for container in model.containers:
        folder, variable = data_folder(container)
        if not folder or container.role == "init":
            continue
        taken = [(path, mount, volume) for _, path, mount, volume in mounts(container)]
        if any(below(folder, path) or below(path, folder) for path, _, _ in taken):
            continue
        names = {
            dig(each, "metadata", "name")
            for each in container.obj.items("spec", "volumeClaimTemplates")
            if container.obj.kind == "StatefulSet"
        }
        for index, path, mount, volume in mounts(container):
            if "persistentVolumeClaim" in volume or mount.get("name") in names:
                offered = container.env.get(variable)
                read_only = container.get("securityContext", "readOnlyRootFilesystem") is True
                read_only = read_only and _known(container) not in VOLUMES
                yield at(
                    container,
                    "volumeMounts",
                    index,
                    "mountPath",
                    message=f"the data is in {folder}, the claim at {path}",
                    fix=f"mount it at {folder}",
                    place=offered.place if offered is not None else None,
                    outcome="CrashLoopBackOff" if read_only and offered is not None else None,
                )
                break


@rule("read-only-path-written", family="lifecycle", severity="error", outcome="CrashLoopBackOff")
def read_only_path_written(model: Model) -> Iterator[Violation]:
    """A read-only root file system for an image that writes to it as it starts.

    `Read-only file system`, and the container ends. Each folder it writes to takes an emptyDir. Known are
    the data folders of Kafka and Qdrant and what Kafka, nginx, PostgreSQL and MySQL write to besides. What an
    image declares a VOLUME is writable.

        readOnlyRootFilesystem: true   # and no volume at /opt/kafka/config
    """
    for container in model.containers:
        if container.get("securityContext", "readOnlyRootFilesystem") is not True or container.role == "init":
            continue
        known = _known(container)
        if container.command or (known == "nginx" and "unprivileged" in container.image):
            continue
        for each in WRITES.get(known, ()):
            at_hand = [path for _, path, _, _ in mounts(container)]
            # /var/run is a link to /run; a configuration of one's own may name other folders
            at_hand += [f"/var{path}" for path in at_hand if below(path, "/run")]
            if known == "nginx" and any(below(path, "/etc/nginx") for path in at_hand):
                continue
            if not any(below(each, path) or below(path, each) for path in at_hand):
                yield at(
                    container,
                    "securityContext",
                    "readOnlyRootFilesystem",
                    message=f"true, and {known} writes to {each} as it starts",
                    fix=f"mount an emptyDir at {each}",
                )


@rule("unknown-medium", family="lifecycle", severity="error", outcome="FailedMount")
def unknown_medium(model: Model) -> Iterator[Violation]:
    """An emptyDir on a medium that does not exist.

    The API server takes any word. The kubelet knows the empty one, `Memory` and `HugePages` with or without a
    size, and mounts nothing else: `unknown storage medium`.

        emptyDir: {medium: memory}     # Memory
    """
    for workload in model.workloads:
        for index, volume in enumerate(workload.items("volumes")):
            medium = dig(volume, "emptyDir", "medium")
            if (
                isinstance(medium, str)
                and medium not in ("", "Memory")
                and not medium.startswith("HugePages")
            ):
                yield at(
                    workload,
                    "volumes",
                    index,
                    "emptyDir",
                    "medium",
                    message=f"{medium!r} is no medium",
                    fix="write Memory, or leave it out",
                )
