"""What the Pod Security Standards forbid and require, as rows of one table.

The list is that of https://kubernetes.io/docs/concepts/security/pod-security-standards/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from preflight.cluster.objects import Field, Located
from preflight.cluster.workloads import Container, Workload
from preflight.model import Model
from preflight.rules.references.missing import refused
from preflight.rules.registry import Violation, at, rule

DEFAULT_CAPABILITIES = (
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE",
    "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
)  # fmt: skip
VOLUMES = (
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim",
    "projected", "secret",
)  # fmt: skip
SYSCTLS = (
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range", "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem", "net.ipv4.tcp_syncookies", "net.ipv4.tcp_wmem",
)  # fmt: skip
SELINUX = ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")
PROBES = ("startupProbe", "readinessProbe", "livenessProbe", "lifecycle.postStart", "lifecycle.preStop")

ENFORCE = "pod-security.kubernetes.io/enforce"
Level = Literal["baseline", "restricted"]
Holder = Literal["pod", "container"]


class Control(msgspec.Struct, frozen=True):
    """What may not stand where `pattern` leads, from a level on."""

    level: Level
    holder: Holder
    pattern: str
    allowed: Callable[[object], bool]
    fix: str = "remove it"
    since: int = 0
    """The minor version of Kubernetes from which on."""


def _both(level: Level, pattern: str, allowed: Callable[[object], bool], fix: str) -> tuple[Control, Control]:
    return Control(level, "pod", pattern, allowed, fix), Control(level, "container", pattern, allowed, fix)


def _not_true(value: object) -> bool:
    return value is not True


def _none(value: object) -> bool:
    return value in (None, "", 0, "Default")


def _confined(value: object) -> bool:
    return value != "Unconfined"


def _not_root(user: object) -> bool:
    return user != 0 or isinstance(user, bool)


CAPABILITIES = "securityContext.capabilities.add.*"
FORBIDDEN = (
    *(Control("baseline", "pod", field, _not_true) for field in ("hostNetwork", "hostPID", "hostIPC")),
    Control("baseline", "pod", "volumes.*.hostPath", _none, "use an emptyDir, a claim or a ConfigMap"),
    *_both("baseline", "securityContext.windowsOptions.hostProcess", _not_true, "remove it"),
    Control("baseline", "container", "ports.*.hostPort", _none, "remove hostPort, and use a Service"),
    *(
        Control("baseline", "container", f"{probe}.{action}.host", _none, "remove host: the pod is asked", 34)
        for probe in PROBES
        for action in ("httpGet", "tcpSocket")
    ),
    Control("baseline", "container", "securityContext.privileged", _not_true),
    Control("baseline", "container", CAPABILITIES, lambda name: name in DEFAULT_CAPABILITIES),
    Control("baseline", "container", "securityContext.procMount", _none),
    *_both("baseline", "securityContext.seLinuxOptions.type", lambda name: name in SELINUX, "remove it"),
    *_both("baseline", "securityContext.seLinuxOptions.user", _none, "remove it"),
    *_both("baseline", "securityContext.seLinuxOptions.role", _none, "remove it"),
    *_both("baseline", "securityContext.appArmorProfile.type", _confined, "remove it"),
    *_both("baseline", "securityContext.seccompProfile.type", _confined, "write RuntimeDefault"),
    Control("baseline", "pod", "securityContext.sysctls.*.name", lambda name: name in SYSCTLS),
    Control("restricted", "container", CAPABILITIES, lambda name: name == "NET_BIND_SERVICE"),
    *_both("restricted", "securityContext.runAsNonRoot", lambda value: value is not False, "write true"),
    *_both("restricted", "securityContext.runAsUser", _not_root, "write the number of another user"),
)


@rule("pod-security-violated", family="policy", severity="error", outcome="no pods")
def pod_security_violated(model: Model) -> Iterator[Violation]:
    """A pod that the Pod Security level of its namespace refuses.

    The Namespace is among the objects and enforces `baseline` or `restricted`. The pods are never made, and
    only the ReplicaSet's events say so (`violates PodSecurity`). Restricted requires of every container:
    allowPrivilegeEscalation false, all capabilities dropped, runAsNonRoot, a seccomp profile; the last two
    may be said once for the pod.

        securityContext: {runAsNonRoot: true}      # and allowPrivilegeEscalation is not false
    """
    for workload in model.workloads:
        level = _enforced(model, workload)
        if level is None:
            continue
        for control in FORBIDDEN:
            if control.level in ("baseline", level) and model.config.minor >= control.since:
                yield from _forbidden(workload, level, control)
        if level == "restricted":
            yield from _volume_types(workload)
            if workload.get("os", "name") != "windows":
                yield from _required(workload)


def _enforced(model: Model, workload: Workload) -> Level | None:
    """The level that the render's own Namespace enforces on a workload's pods; what a cluster enforces by
    itself (AdmissionConfiguration, labels put on elsewhere) is not known here."""
    namespace = model.find("Namespace", "", workload.namespace)
    level = namespace.labels.get(ENFORCE) if namespace is not None else None
    return "restricted" if level == "restricted" else "baseline" if level == "baseline" else None


def _forbidden(workload: Workload, level: Level, control: Control) -> Iterator[Violation]:
    holders: list[Located] = [workload] if control.holder == "pod" else [*_checked(workload)]
    for holder in holders:
        for field in holder.fields(control.pattern):
            if not control.allowed(field.doc) and not _is_one_of_two_types(field):
                text = "true" if field.doc is True else "" if isinstance(field.doc, dict) else field.doc
                named = f"{_name(field)}: {text}" if text != "" else _name(field)
                yield _violation(workload, field, level, f"{named} is forbidden by", control.fix)


def _name(field: Field) -> str:
    names = [step for step in field.path if isinstance(step, str)]
    return ".".join(
        names[-2:] if names[-1] in ("type", "user", "role", "host", "add", "name") else names[-1:]
    )


def _checked(workload: Workload) -> Iterator[Container]:
    """Those that get as far as Pod Security: the API server itself refuses containers without an image, and
    privileged ones that may not escalate."""
    for container in workload.containers:
        context = container.mapping("securityContext")
        refused = context.get("privileged") is True and context.get("allowPrivilegeEscalation") is False
        if container.image and not refused:
            yield container


def _is_one_of_two_types(field: Field) -> bool:
    """Whether a volume has several types, which is refused before Pod Security is asked."""
    return field.path[-1] == "hostPath" and len(field.obj.mapping(*field.path[:-1]).keys() - {"name"}) > 1


def _volume_types(workload: Workload) -> Iterator[Violation]:
    for volume in workload.fields("volumes.*"):
        types = [name for name, value in volume.mapping().items() if name != "name" and value is not None]
        if len(types) == 1 and types[0] not in (*VOLUMES, "hostPath"):
            text = f"a volume of type {types[0]} is forbidden by"
            fix = "take it through a PersistentVolumeClaim"
            yield _violation(workload, volume.field(types[0]), "restricted", text, fix)


def _required(workload: Workload) -> Iterator[Violation]:
    containers = list(_checked(workload))
    for container in containers:
        escalation = container.field("securityContext", "allowPrivilegeEscalation")
        if escalation.doc is not False and container.get("securityContext", "privileged") is not True:
            text = "allowPrivilegeEscalation is not false, as required by"
            fix = "write allowPrivilegeEscalation: false"
            yield _violation(workload, escalation, "restricted", text, fix)
        dropped = container.items("securityContext", "capabilities", "drop")
        if "ALL" not in dropped:
            where = container.field("securityContext", "capabilities", *(["drop"] if dropped else []))
            text = "capabilities.drop has no ALL, as required by"
            yield _violation(workload, where, "restricted", text, "write capabilities: {drop: [ALL]}")
    for path, fix in (
        (("securityContext", "runAsNonRoot"), "write runAsNonRoot: true"),
        (("securityContext", "seccompProfile", "type"), "write seccompProfile: {type: RuntimeDefault}"),
    ):
        bare = [container for container in containers if container.get(*path) is None]
        user_namespace = path[-1] == "runAsNonRoot" and workload.get("hostUsers") is False
        if bare and workload.get(*path) is None and not user_namespace:
            where = (workload if len(bare) == len(workload.containers) else bare[0]).field(*path)
            text = f"{'.'.join(path[1:])} is not given, as required by"
            yield _violation(workload, where, "restricted", text, fix)


def _violation(workload: Workload, field: Field, level: Level, text: str, fix: str) -> Violation:
    message = f"{text} Pod Security level {level} of namespace {workload.namespace}"
    return at(field, message=message, fix=fix, outcome=refused(workload.obj))
