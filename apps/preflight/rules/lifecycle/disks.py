"""What pods write: data on volumes that last, and other paths where the root is read-only."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from preflight.cluster import image_reference
from preflight.cluster.workloads import Container
from preflight.documents.paths import dig
from preflight.facts.images import ContainerImage, container_images
from preflight.facts.known_images import known, shown
from preflight.facts.mounts import Mount, below, mounts, unmounted
from preflight.facts.servers import server_commands, variable
from preflight.findings import Severity
from preflight.model import Model
from preflight.rules.images.public_images import configured
from preflight.rules.images.python_code import started
from preflight.rules.images.run_as_user import effective
from preflight.rules.registry import Violation, at, rule


def data_folder(container: Container) -> tuple[str, str]:
    """Where a public image keeps its data and the variable that says so; empty where it is not known."""
    image = known(container.image)
    offered = container.env.get(image.data_variable)
    if offered is not None and offered.value:
        return posixpath.normpath(offered.value.split(",")[0]), image.data_variable
    if not container.env_is_known or container.command or container.args:
        return "", ""
    return image.data, image.data_variable


@rule("data-not-on-its-volume", family="lifecycle", severity="error", outcome="applies nothing")
def data_not_on_its_volume(model: Model) -> Iterator[Violation]:
    """A database or broker with a claim that is mounted elsewhere than where it writes.

    The claim stays empty, and what was stored is gone with the container; where a variable chose the folder
    and the root is read-only, the container ends at its first write. A warning where the claim may be for
    other files. A claim above a folder that the image declares a VOLUME stays empty as well: containerd puts
    a volume of its own at every VOLUME that no mount is at exactly (a warning: CRI-O makes a folder instead,
    unless it is told otherwise).

        KAFKA_LOG_DIRS=/var/lib/kafka/log        # the claim is mounted at /var/lib/kafka/data
    """
    for container in model.containers:
        folder, variable = data_folder(container)
        claim = next((mount for mount in mounts(container) if mount.is_claim), None)
        if folder and claim is not None and container.role != "init" and unmounted(container, [folder]):
            offered = container.env.get(variable)
            read_only = container.get("securityContext", "readOnlyRootFilesystem") is True
            read_only = read_only and not any(below(folder, v) for v in known(container.image).volumes)
            yield at(
                container.field("volumeMounts", claim.index, "mountPath"),
                message=f"the claim is mounted at {claim.folder}, and {shown(container.image)} keeps its "
                f"data in {folder}",
                fix=f"mount it at {folder}",
                severity=None if offered is not None or _holds_data(container, claim) else "warning",
                place=offered.place if offered is not None else None,
                outcome="CrashLoopBackOff" if read_only and offered is not None else None,
            )
        yield from _above_volumes(container)


def _holds_data(container: Container, claim: Mount) -> bool:
    """Whether a claim is surely meant for what the container stores, and not for files it reads or writes
    beside: one made for each pod, or a folder named after data or the program."""
    name = image_reference.parse(container.image).repository.rpartition("/")[2]
    return (
        not claim.volume
        or re.search(r"data(?!set)", claim.folder) is not None
        or (bool(name) and name in claim.folder)
    )


def _above_volumes(container: Container) -> Iterator[Violation]:
    image = known(container.image)
    offered = container.env.get(image.data_variable)
    folder = (offered.value if offered is not None else None) or image.data
    taken = {mount.folder for mount in mounts(container)}
    for mount in mounts(container):
        within = (each for each in image.volumes if below(each, mount.folder) and below(folder, each))
        inside = (each for each in within if each != mount.folder)
        hidden = next(inside, mount.folder)
        if mount.is_claim and hidden not in taken:
            yield at(
                container.field("volumeMounts", mount.index, "mountPath"),
                message=f"the claim is mounted at {mount.folder}, and {shown(container.image)} keeps its "
                f"data in {folder}, below its VOLUME {hidden}: containerd puts another volume there",
                fix=f"mount it at {hidden}",
                severity="warning",
            )


@rule("data-folder-not-empty", family="lifecycle", severity="warning", outcome="CrashLoopBackOff")
def data_folder_not_empty(model: Model) -> Iterator[Violation]:
    """A claim mounted at the data folder of an image that starts in an empty one only.

    A new ext4 volume, as cloud disks are, holds the folder lost+found. PostgreSQL's initdb and MySQL 5.7
    refuse it, and Kafka takes it for a partition. A folder of the volume (`subPath`) is empty, and so is a
    data folder below the mount.

        mountPath: /var/lib/postgresql/data    # and neither subPath nor PGDATA
    """
    for container in model.containers:
        image = known(container.image)
        offered = container.env.get(image.data_variable)
        folder = offered.value if offered is not None else image.data
        if not image.refuses_lost_and_found or not folder or container.command or not container.env_is_known:
            continue
        for mount in mounts(container):
            same = mount.folder in [posixpath.normpath(each) for each in folder.split(",")]
            if same and mount.is_claim and mount.whole and not _prepares(container, mount):
                yield at(
                    container.field("volumeMounts", mount.index, "mountPath"),
                    message=f"{mount.folder} is the root of a claim, where a new ext4 volume has lost+found, "
                    f"and {shown(container.image)} does not start in a data folder that is not empty",
                    fix="add subPath: data"
                    + (f", or set {image.data_variable} to a folder below" if image.data_variable else ""),
                )


@rule("claim-not-writable", family="lifecycle", severity="warning", outcome="CrashLoopBackOff")
def claim_not_writable(model: Model) -> Iterator[Violation]:
    """A claim for a container that is not root, in a pod without an `fsGroup`.

    A new volume belongs to root, and most provisioners leave it so: the first write ends with `permission
    denied`. With `fsGroup` the kubelet gives the volume to that group. An init container that mounts the
    volume may have prepared it: then nothing is said.

        securityContext: {runAsUser: 1000}     # and a claim, and no fsGroup: 1000
    """
    images = container_images(model)
    for container in model.containers:
        _, user = effective(container, "runAsUser")
        image = images.get(container)
        if user is None:
            own = image.stage.user.value.partition(":")[0] if image is not None and image.stage.user else ""
            user = int(own) if own.isdigit() else known(container.image).user
        if user in (None, 0) or container.workload.get("securityContext", "fsGroup") is not None:
            continue
        for mount in mounts(container):
            read_only = mount.item.get("readOnly") is True or dig(
                mount.volume, "persistentVolumeClaim", "readOnly"
            )
            claim = dig(mount.volume, "persistentVolumeClaim", "claimName")
            new = claim is None or model.find("PersistentVolumeClaim", container.obj.namespace, str(claim))
            if mount.is_claim and new and not read_only and not _prepares(container, mount):
                yield at(
                    container.field("volumeMounts", mount.index, "mountPath"),
                    message=f"{container.name} runs as user {user}, the new volume at {mount.folder} belongs "
                    "to root, and the pod has no fsGroup",
                    fix=f"say securityContext: {{fsGroup: {user}}} in the pod",
                )


def _prepares(container: Container, mount: Mount) -> bool:
    """Whether an init container has the volume first."""
    return any(
        other.item.get("name") == mount.item.get("name")
        for init in container.workload.containers
        if init.role == "init" and init is not container
        for other in mounts(init)
    )


@rule("read-only-path-written", family="lifecycle", severity="error", outcome="CrashLoopBackOff")
def read_only_path_written(model: Model) -> Iterator[Violation]:
    """A read-only root file system for an image that writes to it as it starts.

    `Read-only file system`, and the container ends. Each folder it writes to takes an emptyDir. Known is what
    Kafka, nginx, PostgreSQL, MySQL and others write; what an image declares a VOLUME is writable. gunicorn
    makes a file in the temporary folder (`No usable temporary directory found`), `celery beat` its schedule
    in the working directory. A warning where the code imports `tempfile`, and where the image is not known.

        readOnlyRootFilesystem: true   # and no volume at /opt/kafka/config
    """
    for container in model.containers:
        if container.get("securityContext", "readOnlyRootFilesystem") is not True or container.role == "init":
            continue
        written = [*_by_image(container), *_by_server(model, container)]
        for who, folder, severity in written or _by_code(model, container):
            yield at(
                container.field("securityContext", "readOnlyRootFilesystem"),
                message=f"readOnlyRootFilesystem is true, and {who} writes to {folder}",
                fix=f"mount an emptyDir at {folder}",
                severity=severity,
            )


Written = Iterator[tuple[str, str, Severity]]
"""Who writes, to which folder, and how sure it is."""


def _by_image(container: Container) -> Written:
    image = known(container.image)
    if not container.command and not configured(container, image):
        for folder in unmounted(container, image.writes):
            if not any(below(folder, volume) for volume in image.volumes):
                yield f"{shown(container.image)}, as it starts,", folder, "error"


def _by_server(model: Model, container: Container) -> Written:
    command, image = server_commands(model).get(container), container_images(model).get(container)
    sure: Severity = "error" if image is not None else "warning"
    if command is None:
        return
    if command.server.needs_temporary and not _has_temporary(container, image):
        folder = command.option(["--worker-tmp-dir"]) or TEMPORARY[0]
        # every container has a writable /dev/shm
        if not below(folder, "/dev/shm") and unmounted(container, [folder]):  # noqa: S108
            yield f"{command.name}, as it starts,", folder, sure
    if command.name == "celery" and {"beat", "-B", "--beat"} & set(command.words):
        workdir = image.workdir if image is not None else str(container.get("workingDir", default=""))
        file = command.option(["-s", "--schedule"]) or "celerybeat-schedule"
        folder = posixpath.dirname(posixpath.join(workdir, file))
        if folder.startswith("/") and unmounted(container, [folder]):
            yield "celery beat, as it starts,", folder, sure


def _by_code(model: Model, container: Container) -> Written:
    reached = next((each.reached for each in started(model) if each.image.container is container), None)
    if reached is not None and not _has_temporary(container, container_images(model).get(container)):
        for use in reached.temporary[:1]:
            yield f"the code ({use.file}:{use.line} imports tempfile)", TEMPORARY[0], "warning"


TEMPORARY = ("/tmp", "/var/tmp", "/usr/tmp")  # noqa: S108 - where Python looks, after TMPDIR, TEMP and TMP


def _has_temporary(container: Container, image: ContainerImage | None) -> bool:
    """Whether Python finds a temporary folder it may write to: one that is named, a usual one, or where it
    starts."""
    folders = [variable(container, image, name) for name in ("TMPDIR", "TEMP", "TMP")]
    folders += [*TEMPORARY, image.workdir if image is not None else str(container.get("workingDir") or "")]
    taken = [mount.folder for mount in mounts(container) if mount.item.get("readOnly") is not True]
    taken += [*image.stage.volumes] if image is not None else []
    return any(below(folder, path) for folder in folders if folder for path in taken)
