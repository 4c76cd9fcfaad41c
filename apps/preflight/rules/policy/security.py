"""What Pod Security refuses of containers: privileges, capabilities, root, and no seccomp profile."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.cluster.objects import Located
from preflight.cluster.workloads import Container, Workload
from preflight.documents.paths import dig
from preflight.model import Model
from preflight.rules.policy.pods import guarded, refused
from preflight.rules.registry import Violation, rule

ADDED = (
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE",
    "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
)  # fmt: skip
"""Capabilities that baseline lets a container add."""


def _is_windows(workload: Workload) -> bool:
    return bool(workload.get("os", "name") == "windows")


def _is_rejected(container: Container) -> bool:
    """Whether the API server refuses the container before Pod Security is asked: without an image, or
    privileged and not to escalate."""
    context = container.get("securityContext")
    return not container.image or (
        dig(context, "privileged") is True and dig(context, "allowPrivilegeEscalation") is False
    )


@rule("privilege-not-allowed", family="policy", severity="error", outcome="no pods")
def privilege_not_allowed(model: Model) -> Iterator[Violation]:
    """A container that is privileged, or may become so, where the namespace's Pod Security refuses it.

    `baseline` refuses `privileged: true`; `restricted` wants `allowPrivilegeEscalation: false` said of every
    container, init containers and sidecars too. The pods are never made, and only the ReplicaSet's events
    say so (`violates PodSecurity`).

        securityContext: {}            # allowPrivilegeEscalation: false
    """
    for workload, level in guarded(model):
        for container in workload.containers:
            path = ("securityContext", "allowPrivilegeEscalation")
            if _is_rejected(container):
                continue
            if container.get("securityContext", "privileged") is True:
                yield refused(
                    workload,
                    container,
                    "securityContext",
                    "privileged",
                    level=level,
                    message="true",
                    fix="remove it",
                )
            elif level == "restricted" and not _is_windows(workload) and container.get(*path) is not False:
                given = "true" if container.get(*path) is True else "not given"
                yield refused(
                    workload,
                    container,
                    *path,
                    level=level,
                    message=f"allowPrivilegeEscalation is {given}",
                    fix="write allowPrivilegeEscalation: false",
                )


@rule("capability-not-allowed", family="policy", severity="error", outcome="no pods")
def capability_not_allowed(model: Model) -> Iterator[Violation]:
    """Capabilities beyond those that the namespace's Pod Security permits.

    `baseline` permits those of a container runtime's default set, `restricted` wants `drop: [ALL]` and
    permits NET_BIND_SERVICE alone to be added.

        capabilities: {drop: [all]}    # ALL, in capital letters
    """
    for workload, level in guarded(model):
        for container in workload.containers:
            if not container.image:
                continue
            added = container.items("securityContext", "capabilities", "add")
            permitted = ("NET_BIND_SERVICE",) if level == "restricted" else ADDED
            for index, name in enumerate(added):
                if name not in permitted and not _is_windows(workload) and not _contradicts(container, name):
                    yield refused(
                        workload,
                        container,
                        "securityContext",
                        "capabilities",
                        "add",
                        index,
                        level=level,
                        message=f"adds {name}",
                        fix="remove it",
                    )
            dropped = container.items("securityContext", "capabilities", "drop")
            if level == "restricted" and not _is_windows(workload) and "ALL" not in dropped:
                yield refused(
                    workload,
                    container,
                    "securityContext",
                    "capabilities",
                    *(["drop"] if dropped else []),
                    level=level,
                    message=f"drops {', '.join(map(str, dropped)) or 'no capability'}",
                    fix="write capabilities: {drop: [ALL]}",
                )


def _contradicts(container: Container, name: object) -> bool:
    """SYS_ADMIN beside `allowPrivilegeEscalation: false` is refused by the API server itself."""
    return container.get("securityContext", "allowPrivilegeEscalation") is False and name in (
        "SYS_ADMIN",
        "CAP_SYS_ADMIN",
    )


@rule("root-not-allowed", family="policy", severity="error", outcome="no pods")
def root_not_allowed(model: Model) -> Iterator[Violation]:
    """A pod that may run as root, in a namespace that enforces `restricted`.

    Wanted are `runAsNonRoot: true` for the pod or each container, `false` for none, and no `runAsUser: 0`.
    The image's own USER does not count.

        securityContext: {runAsUser: 10001}      # runAsNonRoot: true as well
    """
    for workload, level in guarded(model):
        if level != "restricted" or workload.get("hostUsers") is False:
            continue
        parts: list[Located] = [workload, *workload.containers]
        pod = workload.get("securityContext", "runAsNonRoot")
        lacking = []
        for part in parts:
            context = part.obj.get(*part.path, "securityContext")
            given = dig(context, "runAsNonRoot")
            user = dig(context, "runAsUser")
            if given is False:
                yield refused(
                    workload,
                    part,
                    "securityContext",
                    "runAsNonRoot",
                    level=level,
                    message="runAsNonRoot is false",
                    fix="write runAsNonRoot: true",
                )
            elif isinstance(part, Container) and given is None and pod is None:
                lacking.append(part)
            if user == 0 and not isinstance(user, bool) and not _is_windows(workload):
                yield refused(
                    workload,
                    part,
                    "securityContext",
                    "runAsUser",
                    level=level,
                    message="runAsUser is 0, root",
                    fix="write the number of another user",
                )
        if lacking:
            yield refused(
                workload,
                workload if len(lacking) == len(workload.containers) else lacking[0],
                "securityContext",
                "runAsNonRoot",
                level=level,
                message="runAsNonRoot is not given",
                fix="write runAsNonRoot: true",
            )


@rule("seccomp-not-allowed", family="policy", severity="error", outcome="no pods")
def seccomp_not_allowed(model: Model) -> Iterator[Violation]:
    """A pod without a seccomp profile where `restricted` wants one, or `Unconfined`.

    `baseline` refuses Unconfined; `restricted` wants RuntimeDefault or Localhost said, for the pod or for
    each container.

        seccompProfile: {type: RuntimeDefault}
    """
    for workload, level in guarded(model):
        if _is_windows(workload):
            continue
        path = ("securityContext", "seccompProfile", "type")
        parts: list[Located] = [workload, *workload.containers]
        for part in parts:
            if part.obj.get(*part.path, *path) == "Unconfined":
                yield refused(
                    workload, part, *path, level=level, message="Unconfined", fix="write RuntimeDefault"
                )
        bare = [each for each in workload.containers if each.get(*path) is None]
        if level == "restricted" and workload.get(*path) is None and bare:
            yield refused(
                workload,
                workload if len(bare) == len(workload.containers) else bare[0],
                *path,
                level=level,
                message="no seccomp profile is given",
                fix="write seccompProfile: {type: RuntimeDefault}",
            )
