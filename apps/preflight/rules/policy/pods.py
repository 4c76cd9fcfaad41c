"""What Pod Security refuses of pods as a whole: the host, volumes, kernel settings; and its own labels."""

from __future__ import annotations

import re
from collections.abc import Iterator

from preflight.cluster.objects import Located
from preflight.cluster.workloads import Workload
from preflight.documents.paths import Step, dig
from preflight.facts.pod_security import Level, enforced
from preflight.findings import Outcome
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import near

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
LEVELS = ("privileged", "baseline", "restricted")


def guarded(model: Model) -> Iterator[tuple[Workload, Level]]:
    """Workloads in namespaces of the render that enforce baseline or restricted."""
    for workload in model.workloads:
        level = enforced(model, workload)
        if level:
            yield workload, level


def refused(workload: Workload, part: Located, *path: Step, level: str, message: str, fix: str) -> Violation:
    """A finding of Pod Security: a controller's pods are never made, a Pod itself is rejected."""
    outcome: Outcome = "rejected by the API server" if workload.kind == "Pod" else "no pods"
    where = f"namespace {workload.namespace} enforces {level}"
    return at(part, *path, message=f"{message}; {where}", fix=fix, outcome=outcome)


@rule("policy-level-unknown", family="policy", severity="error", outcome="rejected by the API server")
def policy_level_unknown(model: Model) -> Iterator[Violation]:
    """A Pod Security label of a namespace with a level or version that does not exist.

    Levels are privileged, baseline and restricted, versions `latest` or `v1.NN`. The Namespace is refused,
    and with it all that is in it.

        pod-security.kubernetes.io/enforce: restrictive      # restricted
    """
    for namespace in model.objects_of("Namespace"):
        for mode in ("enforce", "audit", "warn"):
            key = f"pod-security.kubernetes.io/{mode}"
            level, version = namespace.labels.get(key), namespace.labels.get(f"{key}-version")
            if level is not None and level not in LEVELS:
                meant = near(level, LEVELS)
                yield at(
                    namespace,
                    "metadata",
                    "labels",
                    key,
                    message=f"{level!r} is no level of Pod Security",
                    fix=f"write {meant}" if meant else f"write one of {', '.join(LEVELS)}",
                )
            if version is not None and not re.fullmatch(r"latest|v1\.(0|[1-9]\d*)", version):
                yield at(
                    namespace,
                    "metadata",
                    "labels",
                    f"{key}-version",
                    message=f"{version!r} is no version of Pod Security",
                    fix="write latest, or a version such as v1.34",
                )


@rule("host-not-allowed", family="policy", severity="error", outcome="no pods")
def host_not_allowed(model: Model) -> Iterator[Violation]:
    """A pod that uses its node, in a namespace that enforces baseline or restricted.

    The node's network, processes, memory, paths and ports are refused, and from 1.34 a `host` in probes and
    hooks: the pods are never made, and only the ReplicaSet's events say so (`violates PodSecurity`).

        hostNetwork: true
    """
    for workload, level in guarded(model):
        for field in ("hostNetwork", "hostPID", "hostIPC"):
            if workload.get(field) is True:
                yield refused(workload, workload, field, level=level, message="true", fix="remove it")
        for index, volume in enumerate(workload.items("volumes")):
            # one of several types is refused before Pod Security is asked, as invalid-volume says
            if dig(volume, "hostPath") is not None and len(_types(volume)) == 1:
                yield refused(
                    workload,
                    workload,
                    "volumes",
                    index,
                    "hostPath",
                    level=level,
                    message="a path of the node",
                    fix="use an emptyDir, a claim or a ConfigMap",
                )
        hosted: list[Located] = [workload, *workload.containers]
        for part in hosted:
            path = ("securityContext", "windowsOptions", "hostProcess")
            if part.obj.get(*part.path, *path) is True:
                yield refused(workload, part, *path, level=level, message="true", fix="remove it")
        for container in workload.containers:
            for index, port in enumerate(container.items("ports")):
                if dig(port, "hostPort") not in (None, 0):
                    yield refused(
                        workload,
                        container,
                        "ports",
                        index,
                        "hostPort",
                        level=level,
                        message=f"{port['hostPort']} of the node",
                        fix="remove hostPort, and reach the pods through a Service",
                    )
            places: list[tuple[Step, ...]] = [(name,) for name in container.probes]
            places += [("lifecycle", "postStart"), ("lifecycle", "preStop")]
            for place in places if model.config.minor >= 34 else ():
                for action in ("httpGet", "tcpSocket"):
                    if container.get(*place, action, "host"):
                        yield refused(
                            workload,
                            container,
                            *place,
                            action,
                            "host",
                            level=level,
                            message=f"asks {container.get(*place, action, 'host')}",
                            fix="remove host: the pod itself is asked",
                        )


@rule("volume-type-not-allowed", family="policy", severity="error", outcome="no pods")
def volume_type_not_allowed(model: Model) -> Iterator[Violation]:
    """A volume of a type that `restricted` does not permit.

    Permitted are configMap, csi, downwardAPI, emptyDir, ephemeral, image, persistentVolumeClaim, projected
    and secret.

        volumes:
        - {name: data, nfs: {server: nas, path: /data}}      # a claim
    """
    for workload, level in guarded(model):
        for index, volume in enumerate(workload.items("volumes") if level == "restricted" else ()):
            kinds = _types(volume)
            for kind in kinds if len(kinds) == 1 else ():
                if kind not in (*VOLUMES, "hostPath"):
                    yield refused(
                        workload,
                        workload,
                        "volumes",
                        index,
                        kind,
                        level=level,
                        message=f"a volume of the type {kind}",
                        fix="take it through a PersistentVolumeClaim",
                    )


@rule("kernel-setting-not-allowed", family="policy", severity="error", outcome="no pods")
def kernel_setting_not_allowed(model: Model) -> Iterator[Violation]:
    """Settings of the kernel beyond those that `baseline` permits.

    Only sysctls that stay within the pod, the default mask of /proc, the container types of SELinux and no
    unconfined AppArmor profile are permitted.

        sysctls:
        - {name: vm.max_map_count, value: "262144"}
    """
    for workload, level in guarded(model):
        for index, sysctl in enumerate(workload.items("securityContext", "sysctls")):
            name = dig(sysctl, "name")
            if name is not None and name not in SYSCTLS:
                yield refused(
                    workload,
                    workload,
                    "securityContext",
                    "sysctls",
                    index,
                    "name",
                    level=level,
                    message=f"the sysctl {name}",
                    fix="set it on the node",
                )
        parts: list[Located] = [workload, *workload.containers]
        for part in parts:
            context = part.obj.get(*part.path, "securityContext")
            found: list[tuple[tuple[Step, ...], bool]] = [
                (("procMount",), dig(context, "procMount") not in (None, "Default")),
                (
                    ("seLinuxOptions", "type"),
                    dig(context, "seLinuxOptions", "type", default="") not in SELINUX,
                ),
                (("seLinuxOptions", "user"), bool(dig(context, "seLinuxOptions", "user"))),
                (("seLinuxOptions", "role"), bool(dig(context, "seLinuxOptions", "role"))),
                (("appArmorProfile", "type"), dig(context, "appArmorProfile", "type") == "Unconfined"),
            ]
            for path, wrong in found:
                if wrong:
                    yield refused(
                        workload,
                        part,
                        "securityContext",
                        *path,
                        level=level,
                        message=f"{'.'.join(map(str, path))} is {dig(context, *path)}",
                        fix="remove it",
                    )


def _types(volume: object) -> list[str]:
    """The types a volume is given."""
    if not isinstance(volume, dict):
        return []
    return [key for key, value in volume.items() if key != "name" and value is not None]
