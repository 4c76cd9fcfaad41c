"""Public images whose needs are known, against the security context they are given."""

from __future__ import annotations

import re
from collections.abc import Iterator

from preflight.cluster.objects import Obj
from preflight.cluster.workloads import Container
from preflight.facts.known_images import KnownImage, known, shown
from preflight.facts.mounts import below, mounts, unmounted
from preflight.facts.pods import service_links
from preflight.findings import Severity
from preflight.model import Model
from preflight.rules.images.run_as_user import effective
from preflight.rules.registry import Violation, at, rule


@rule("image-withdrawn", family="images", severity="warning", outcome="ErrImagePull")
def image_withdrawn(model: Model) -> Iterator[Violation]:
    """An image that its publisher has taken down, or a tag that never was.

    What a node has already keeps running, and the next node cannot pull it: `manifest unknown`. Known are
    the large ones, such as the versioned tags of docker.io/bitnami.

        image: docker.io/bitnami/redis:7.4.2
    """
    for container in model.containers:
        image = known(container.image)
        if image.withdrawn:
            yield at(
                container.field("image"),
                message=f"{shown(container.image)} cannot be pulled: {image.withdrawn}",
                fix=f"use {image.instead}",
            )


def configured(container: Container, image: KnownImage) -> bool:
    """Whether a mount may tell the image to write elsewhere, as another user."""
    return any(mount.folder in image.configuration for mount in mounts(container))


@rule("folder-of-another-user", family="images", severity="error", outcome="CrashLoopBackOff")
def folder_of_another_user(model: Model) -> Iterator[Violation]:
    """`runAsUser` for an image whose own folders belong to another user.

    nginx makes folders in /var/cache/nginx as it starts, which belongs to root; as another user it ends with
    `mkdir() "/var/cache/nginx/client_temp" failed (13: Permission denied)`. There are images made for other
    users (nginxinc/nginx-unprivileged), and an emptyDir on the folder helps as well.

        securityContext: {runAsUser: 1000}     # image: nginx:1.27.1
    """
    for container in model.containers:
        image = known(container.image)
        part, user = effective(container, "runAsUser")
        if image.owner is None or not isinstance(user, int) or user in (0, image.owner) or container.command:
            continue
        pod = container.workload
        groups = [effective(container, "runAsGroup")[1], pod.get("securityContext", "fsGroup")]
        groups += pod.items("securityContext", "supplementalGroups")
        folders = unmounted(container, image.writes)
        if folders and image.owner not in groups and not configured(container, image):
            owner = "root" if image.owner == 0 else f"user {image.owner}"
            yield at(
                part.field("securityContext", "runAsUser"),
                message=f"{shown(container.image)} writes to {folders[0]} as it starts, which belongs to "
                f"{owner}, and runAsUser is {user}",
                fix=f"mount an emptyDir at {' and '.join(folders)}, or use an image made for another user",
            )


@rule("capability-missing", family="images", severity="error", outcome="CrashLoopBackOff")
def capability_missing(model: Model) -> Iterator[Violation]:
    """Capabilities dropped that a public image needs to start.

    The entrypoints of nginx, postgres, redis and others begin as root, give folders away (CHOWN) and become
    another user (SETUID, SETGID). Without these they end: `operation not permitted`. A program that carries
    a capability as a file, such as caddy, is not even executed where the container may not have it.

        capabilities: {drop: [ALL]}    # image: nginx:1.27.1, as root
    """
    for container in model.containers:
        image, dropped = known(container.image), _listed(container, "drop")
        _, user = effective(container, "runAsUser")
        is_root = user == 0 or (user is None and image.user == 0)
        added = _listed(container, "add")
        if added & {"ALL"} or effective(container, "privileged")[1] is True:
            continue
        needed = list(image.file_capabilities)
        if is_root and not container.command and not configured(container, image):
            needed += image.capabilities
        lacking = [each for each in needed if dropped & {"ALL", each} and each not in added]
        if lacking:
            severity: Severity = "error" if image.user is not None or image.file_capabilities else "warning"
            yield at(
                container.field("securityContext", "capabilities", "drop"),
                message=f"{shown(container.image)} needs {', '.join(lacking)} to start"
                + (" as root" if is_root and not image.file_capabilities else "")
                + f", and drop has {', '.join(sorted(dropped))}",
                fix=f"add: [{', '.join(lacking)}], or use an image made to run without",
                severity=severity,
                outcome="RunContainerError" if set(lacking) <= set(image.file_capabilities) else None,
            )


def _listed(container: Container, field: str) -> set[str]:
    return {
        str(each).removeprefix("CAP_") for each in container.items("securityContext", "capabilities", field)
    }


@rule("service-link-stops-image", family="images", severity="error", outcome="CrashLoopBackOff")
def service_link_stops_image(model: Model) -> Iterator[Violation]:
    """A Service whose name makes Kubernetes set a variable that a public image takes for its own.

    A Service called `kafka` adds KAFKA_PORT=tcp://… to the pods of its namespace; Confluent's image ends with
    `port is deprecated`, and others read the address as the number of their port. The same befalls n8n, Solr,
    memos, Actual and more, since their Service mostly bears their name.

        kind: Service
        metadata:
          name: actual                 # image: actualbudget/actual-server, which reads ACTUAL_PORT
    """
    for container in model.containers:
        image = known(container.image)
        refused = image.refuses_url if container.env_is_known and _starts_itself(container, image) else ()
        links = dict(service_links(model, container)) if refused else {}
        words = " ".join((*container.command, *container.args))
        for variable in refused:
            # a script that names the variable unsets it, or sets its own
            if variable in links and variable not in container.env and variable not in words:
                yield at(
                    container.field("image"),
                    message=f"the Service {links[variable][1].name} sets {variable}=tcp://… in this "
                    f"container, which {shown(container.image)} takes for its own setting",
                    fix="say enableServiceLinks: false in the pod, or rename the Service",
                )


def _starts_itself(container: Container, image: KnownImage) -> bool:
    """Whether the image's own start script or program runs: by itself, or by a command that calls it."""
    called = re.split(r"[\s;&|]+", " ".join((*container.command, *container.args)))
    programs = {word.rpartition("/")[2] for word in called}
    own = {name.rpartition("/")[2] for name in image.names} | {"run"}
    return not container.command or bool(programs & own) or any("entrypoint" in each for each in programs)


def is_as_it_comes(container: Container, image: KnownImage) -> bool:
    """Whether the image starts what it starts by itself: no other command, no arguments but options, and
    nothing mounted over its configuration."""
    own = image.names[0].rpartition("/")[2] if image.names else ""
    given = [each for each in container.args[:1] if not each.startswith("-") and each not in (own, f"{own}d")]
    return not (container.command or given) and not any(
        below(mount.folder, folder) or below(folder, mount.folder)
        for mount in mounts(container)
        for folder in image.configuration
    )


@rule("image-setting-missing", family="images", severity="error", outcome="CrashLoopBackOff")
def image_setting_missing(model: Model) -> Iterator[Violation]:
    """A variable without which a public image does not start.

    postgres ends with `Database is uninitialized and superuser password is not specified`, and so do MySQL,
    MariaDB, SQL Server and others; Elasticsearch wants to be told how it finds its cluster. Where the data
    folder is on a volume that may have a database already (no claim of the same tree, or one for a certain
    volume), it is a warning.

        image: postgres:17.2           # and no POSTGRES_PASSWORD
    """
    for container in model.containers:
        image = known(container.image)
        if not image.needs or not container.env_is_known or not is_as_it_comes(container, image):
            continue
        for names in image.needs:
            told = (name for name in names if any(name in word for word in container.args))
            set_to = (container.env[name].value for name in names if name in container.env)
            if any(told) or any(value != "" for value in set_to):
                continue
            others = f" (or {', '.join(names[1:3])})" if names[1:] else ""
            yield at(
                container.field("image"),
                message=f"{shown(container.image)} does not start without {names[0]}{others}",
                fix=f"set {names[0]}",
                severity="warning" if _may_be_filled(model, container, image) else None,
            )


def _may_be_filled(model: Model, container: Container, image: KnownImage) -> bool:
    """Whether its data lies on a volume that is not made here, or that an init container has first."""
    space = container.obj.namespace
    for mount in mounts(container):
        claim = mount.volume.get("persistentVolumeClaim")
        name = claim.get("claimName") if isinstance(claim, dict) else None
        made = "emptyDir" in mount.volume or "ephemeral" in mount.volume or not mount.volume
        claimed = model.find("PersistentVolumeClaim", space, str(name)) if name is not None else None
        made = made or (claimed is not None and _gets_a_new_volume(model, claimed))
        prepared = any(
            other.item.get("name") == mount.item.get("name")
            for init in container.workload.containers
            if init.role == "init"
            for other in mounts(init)
        )
        if (
            (prepared or not made)
            and image.data
            and (below(image.data, mount.folder) or below(mount.folder, image.data))
        ):
            return True
    return False


def _gets_a_new_volume(model: Model, claim: Obj) -> bool:
    """Whether a claim asks for no volume that is there before it."""
    spec = claim.mapping("spec")
    classes = [volume.get("spec", "storageClassName") for volume in model.objects_of("PersistentVolume")]
    return spec.get("storageClassName") not in classes and not any(
        spec.get(field) for field in ("volumeName", "selector", "dataSource", "dataSourceRef")
    )
