"""Numbers outside the bounds the API server sets."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from preflight.model import Model
from preflight.rules.fields import fields, whole
from preflight.rules.registry import Violation, at, rule


class Bounds(msgspec.Struct, frozen=True):
    """The least and the greatest number allowed."""

    low: int
    high: int | None = None
    note: str = ""

    def __str__(self) -> str:
        text = f"at least {self.low}" if self.high is None else f"from {self.low} to {self.high}"
        return text + self.note


NOT_NEGATIVE = Bounds(0)
POSITIVE = Bounds(1)
PORT = Bounds(1, 65535)
USER = Bounds(0, 2**31 - 1)
MODE = Bounds(0, 0o777, " (0777 in octal: write it with a leading 0)")
NODE_PORT = Bounds(30000, 32767, ", unless the cluster was set up otherwise")
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
TIMES = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")

OF_CONTAINERS: dict[str, Bounds] = {
    "ports.*.containerPort": PORT,
    "ports.*.hostPort": Bounds(0, 65535),
    **{f"{probe}.{field}": NOT_NEGATIVE for probe in PROBES for field in TIMES},
    **{f"{probe}.{way}.port": PORT for probe in PROBES for way in ("httpGet", "tcpSocket", "grpc")},
    **{f"{probe}.terminationGracePeriodSeconds": POSITIVE for probe in PROBES},
    "securityContext.runAsUser": USER,
    "securityContext.runAsGroup": USER,
}
OF_PODS: dict[str, Bounds] = {
    "activeDeadlineSeconds": POSITIVE,
    "securityContext.runAsUser": USER,
    "securityContext.runAsGroup": USER,
    "securityContext.fsGroup": USER,
    "securityContext.supplementalGroups.*": USER,
    "topologySpreadConstraints.*.maxSkew": POSITIVE,
    "topologySpreadConstraints.*.minDomains": POSITIVE,
    **{
        f"affinity.{kind}.preferredDuringSchedulingIgnoredDuringExecution.*.weight": Bounds(1, 100)
        for kind in ("nodeAffinity", "podAffinity", "podAntiAffinity")
    },
    **{
        f"volumes.*.{kind}.{field}": MODE
        for kind in ("configMap", "secret", "downwardAPI")
        for field in ("defaultMode", "items.*.mode")
    },
    "volumes.*.projected.defaultMode": MODE,
}
ROLLED = {"spec.replicas": NOT_NEGATIVE, "spec.minReadySeconds": NOT_NEGATIVE}
HISTORY = {"spec.revisionHistoryLimit": NOT_NEGATIVE}
JOB = dict.fromkeys(("parallelism", "completions", "backoffLimit", "ttlSecondsAfterFinished"), NOT_NEGATIVE)
OF_KINDS: dict[str, dict[str, Bounds]] = {
    "Deployment": {**ROLLED, **HISTORY, "spec.progressDeadlineSeconds": NOT_NEGATIVE},
    "StatefulSet": {**ROLLED, "spec.updateStrategy.rollingUpdate.partition": NOT_NEGATIVE},
    "DaemonSet": {"spec.minReadySeconds": NOT_NEGATIVE, **HISTORY},
    "ReplicaSet": ROLLED,
    "Job": {
        **{f"spec.{field}": bounds for field, bounds in JOB.items()},
        "spec.activeDeadlineSeconds": NOT_NEGATIVE,
    },
    "CronJob": {
        **{f"spec.jobTemplate.spec.{field}": bounds for field, bounds in JOB.items()},
        "spec.startingDeadlineSeconds": NOT_NEGATIVE,
        "spec.successfulJobsHistoryLimit": NOT_NEGATIVE,
        "spec.failedJobsHistoryLimit": NOT_NEGATIVE,
    },
    "Service": {
        "spec.ports.*.port": PORT,
        "spec.ports.*.targetPort": Bounds(0, 65535),
        "spec.ports.*.nodePort": NODE_PORT,
    },
    "HorizontalPodAutoscaler": {"spec.minReplicas": POSITIVE, "spec.maxReplicas": POSITIVE},
    "NetworkPolicy": {
        f"spec.{way}.*.ports.*.{field}": PORT
        for way in ("ingress", "egress")
        for field in ("port", "endPort")
    },
    "PriorityClass": {"value": Bounds(-(2**31), 1_000_000_000)},
    "Ingress": {
        "spec.rules.*.http.paths.*.backend.service.port.number": PORT,
        "spec.defaultBackend.service.port.number": PORT,
    },
}


@rule("number-out-of-range", family="admission", severity="error", outcome="rejected by the API server")
def number_out_of_range(model: Model) -> Iterator[Violation]:
    """A number beyond what its field allows.

    Ports from 1 to 65535, node ports from 30000 to 32767, counts and times not below 0, file modes up to 0777
    (a decimal 755 is 01363).

        defaultMode: 755      # 0755
    """
    for field, bounds in fields(model, OF_KINDS, OF_PODS, OF_CONTAINERS):
        number = whole(field.value)
        if number is None or (field.path[-1] == "nodePort" and number == 0):
            continue
        if number < bounds.low or (bounds.high is not None and number > bounds.high):
            octal = bounds is MODE and set(str(number)) <= set("01234567") and number > 0
            yield at(
                field.part,
                *field.path,
                message=f"{number}, wants {bounds}",
                fix=f"write 0{number}" if octal else f"write a number {bounds}",
            )
