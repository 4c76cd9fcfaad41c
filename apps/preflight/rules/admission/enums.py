"""Fields that take one of a few words."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.model import Model
from preflight.rules.fields import fields
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import near

PROTOCOLS = ("TCP", "UDP", "SCTP")
SECCOMP = ("RuntimeDefault", "Unconfined", "Localhost")
ACCESS_MODES = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")
OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")
NODE_OPERATORS = (*OPERATORS, "Gt", "Lt")
TERM = "nodeSelectorTerms.*.matchExpressions.*.operator"

OF_CONTAINERS: dict[str, tuple[str, ...]] = {
    "imagePullPolicy": ("Always", "IfNotPresent", "Never"),
    "terminationMessagePolicy": ("File", "FallbackToLogsOnError"),
    "ports.*.protocol": PROTOCOLS,
    **dict.fromkeys(
        (f"{probe}.httpGet.scheme" for probe in ("startupProbe", "readinessProbe", "livenessProbe")),
        ("HTTP", "HTTPS"),
    ),
    "securityContext.seccompProfile.type": SECCOMP,
    "securityContext.appArmorProfile.type": SECCOMP,
    "volumeMounts.*.mountPropagation": ("None", "HostToContainer", "Bidirectional"),
}
OF_PODS: dict[str, tuple[str, ...]] = {
    "restartPolicy": ("Always", "OnFailure", "Never"),
    "dnsPolicy": ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"),
    "preemptionPolicy": ("PreemptLowerPriority", "Never"),
    "topologySpreadConstraints.*.whenUnsatisfiable": ("DoNotSchedule", "ScheduleAnyway"),
    "tolerations.*.effect": ("", "NoSchedule", "PreferNoSchedule", "NoExecute"),
    "volumes.*.hostPath.type": (
        "",
        "DirectoryOrCreate",
        "Directory",
        "FileOrCreate",
        "File",
        "Socket",
        "CharDevice",
        "BlockDevice",
    ),
    "securityContext.seccompProfile.type": SECCOMP,
    "securityContext.fsGroupChangePolicy": ("OnRootMismatch", "Always"),
    f"affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.{TERM}": NODE_OPERATORS,
}
OF_KINDS: dict[str, dict[str, tuple[str, ...]]] = {
    "Deployment": {
        "spec.strategy.type": ("RollingUpdate", "Recreate"),
        "spec.selector.matchExpressions.*.operator": OPERATORS,
    },
    "StatefulSet": {
        "spec.updateStrategy.type": ("RollingUpdate", "OnDelete"),
        "spec.podManagementPolicy": ("OrderedReady", "Parallel"),
        "spec.persistentVolumeClaimRetentionPolicy.whenDeleted": ("Retain", "Delete"),
        "spec.persistentVolumeClaimRetentionPolicy.whenScaled": ("Retain", "Delete"),
        "spec.volumeClaimTemplates.*.spec.accessModes.*": ACCESS_MODES,
        "spec.volumeClaimTemplates.*.spec.volumeMode": ("Filesystem", "Block"),
    },
    "DaemonSet": {"spec.updateStrategy.type": ("RollingUpdate", "OnDelete")},
    "CronJob": {"spec.concurrencyPolicy": ("Allow", "Forbid", "Replace")},
    "Job": {"spec.completionMode": ("NonIndexed", "Indexed")},
    "Service": {
        "spec.type": ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"),
        "spec.ports.*.protocol": PROTOCOLS,
        "spec.sessionAffinity": ("None", "ClientIP"),
        "spec.externalTrafficPolicy": ("Cluster", "Local"),
        "spec.internalTrafficPolicy": ("Cluster", "Local"),
        "spec.ipFamilyPolicy": ("SingleStack", "PreferDualStack", "RequireDualStack"),
        "spec.ipFamilies.*": ("IPv4", "IPv6"),
    },
    "Ingress": {"spec.rules.*.http.paths.*.pathType": ("Exact", "Prefix", "ImplementationSpecific")},
    "NetworkPolicy": {
        "spec.policyTypes.*": ("Ingress", "Egress"),
        "spec.ingress.*.ports.*.protocol": PROTOCOLS,
        "spec.egress.*.ports.*.protocol": PROTOCOLS,
    },
    "PersistentVolumeClaim": {
        "spec.accessModes.*": ACCESS_MODES,
        "spec.volumeMode": ("Filesystem", "Block"),
    },
    "PersistentVolume": {
        "spec.accessModes.*": ACCESS_MODES,
        "spec.persistentVolumeReclaimPolicy": ("Retain", "Delete", "Recycle"),
    },
    "StorageClass": {
        "reclaimPolicy": ("Delete", "Retain"),
        "volumeBindingMode": ("Immediate", "WaitForFirstConsumer"),
    },
    "PodDisruptionBudget": {"spec.unhealthyPodEvictionPolicy": ("IfHealthyBudget", "AlwaysAllow")},
    "HorizontalPodAutoscaler": {
        "spec.metrics.*.type": ("Resource", "Pods", "Object", "External", "ContainerResource"),
        "spec.metrics.*.resource.target.type": ("Utilization", "Value", "AverageValue"),
        "spec.behavior.scaleDown.selectPolicy": ("Max", "Min", "Disabled"),
        "spec.behavior.scaleUp.selectPolicy": ("Max", "Min", "Disabled"),
    },
    "RoleBinding": {
        "roleRef.kind": ("Role", "ClusterRole"),
        "subjects.*.kind": ("User", "Group", "ServiceAccount"),
    },
    "ClusterRoleBinding": {
        "roleRef.kind": ("ClusterRole",),
        "subjects.*.kind": ("User", "Group", "ServiceAccount"),
    },
}


@rule("unknown-value", family="admission", severity="error", outcome="rejected by the API server")
def unknown_value(model: Model) -> Iterator[Violation]:
    """A word the field does not know: most are case-sensitive, and no schema lists them.

    The API server answers `Unsupported value` and names those it takes; the published schemas say `string`.

        imagePullPolicy: ifNotPresent      # IfNotPresent
        protocol: tcp                      # TCP
    """
    for field, words in fields(model, OF_KINDS, OF_PODS, OF_CONTAINERS):
        if isinstance(field.value, str) and field.value not in words:
            folded = {each.lower(): each for each in words}
            meant = folded.get(field.value.lower()) or near(field.value, words)
            yield at(
                field.part,
                *field.path,
                message=f"{field.value!r} is none of {', '.join(each for each in words if each)}",
                fix=f"write {meant}" if meant else f"write {words[0] or words[1]}",
            )
