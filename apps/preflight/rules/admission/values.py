"""Fields that take one of a few words, quantities, names of resources, schedules, addresses."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from preflight.model import Model
from preflight.names import near
from preflight.quantities import quantity
from preflight.registry import Hit, Located, Step, at, rule
from preflight.rules.admission.reach import Field, fields, mapping, reach

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
def unknown_value(model: Model) -> Iterator[Hit]:
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


QUANTITIES_OF_KINDS: dict[str, dict[str, None]] = {
    "PersistentVolumeClaim": {"spec.resources.requests.storage": None, "spec.resources.limits.storage": None},
    "PersistentVolume": {"spec.capacity.storage": None},
    "StatefulSet": {
        "spec.volumeClaimTemplates.*.spec.resources.requests.storage": None,
        "spec.volumeClaimTemplates.*.spec.resources.limits.storage": None,
    },
}
QUANTITIES_OF_PODS: dict[str, None] = {
    "volumes.*.emptyDir.sizeLimit": None,
    "volumes.*.ephemeral.volumeClaimTemplate.spec.resources.requests.storage": None,
}


@rule("invalid-quantity", family="admission", severity="error", outcome="rejected by the API server")
def invalid_quantity(model: Model) -> Iterator[Hit]:
    """A quantity that cannot be read, or is negative.

    Quantities are a number and a suffix without a space: m for thousandths, k M G T P E for powers of 1000,
    Ki Mi Gi Ti Pi Ei for powers of 1024. `MB` and `GB` are none of them.

        memory: 512MB      # 512M, or 512Mi
    """
    found = list(fields(model, QUANTITIES_OF_KINDS, QUANTITIES_OF_PODS, {}))
    for field, _ in found:
        yield from _judged(field.part, field.path, field.value)
    for container in model.containers:
        for kind in ("requests", "limits"):
            for name, value in mapping(container.get("resources", kind)).items():
                yield from _judged(container, ("resources", kind, name), value)


def _judged(part: Located, path: tuple[Step, ...], value: object) -> Iterator[Hit]:
    amount = quantity(value)
    if isinstance(value, dict | list | bool) or (amount is not None and amount >= 0):
        return
    text = str(value)
    better = re.sub(r"(?i)\s*([kmgtpe])i?b?$", lambda match: f"{match[1].upper()}i", text)
    good = better != text and quantity(better) is not None
    yield at(
        part,
        *path,
        message=f"{text!r} is no quantity" if amount is None else f"{text} is negative",
        fix=f"write {better}" if good else "write a number with one of m k M G Ki Mi Gi, such as 512Mi",
    )


STANDARD_RESOURCES = ("cpu", "memory", "ephemeral-storage")


@rule("unknown-resource", family="admission", severity="error", outcome="rejected by the API server")
def unknown_resource(model: Model) -> Iterator[Hit]:
    """A resource of that name does not exist: only cpu, memory, ephemeral-storage, hugepages-SIZE are
    unprefixed.

    Everything else is an extended resource with a domain (`nvidia.com/gpu`); an unprefixed other name is
    refused with `must be a standard resource for containers`.

        limits:
          mem: 512Mi       # memory
    """
    meant = {"mem": "memory", "cpus": "cpu", "ram": "memory", "disk": "ephemeral-storage"}
    for container in model.containers:
        for kind in ("requests", "limits"):
            for name in mapping(container.get("resources", kind)):
                if name in STANDARD_RESOURCES or "/" in name or name.startswith("hugepages-"):
                    continue
                better = meant.get(name.lower()) or near(name, STANDARD_RESOURCES)
                yield at(
                    container,
                    "resources",
                    kind,
                    name,
                    message=f"{name!r} is no resource of containers",
                    fix=f"write {better}" if better else "write cpu, memory or ephemeral-storage",
                )


MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
SCHEDULE: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, MONTHS),
    ("day of the week", 0, 6, DAYS),
)


@rule("invalid-schedule", family="admission", severity="error", outcome="rejected by the API server")
def invalid_schedule(model: Model) -> Iterator[Hit]:
    """A CronJob's schedule that does not parse.

    Five fields as in crontab(5): minute 0-59, hour 0-23, day 1-31, month 1-12 or names, weekday 0-6 or names;
    or one of @hourly, @daily, @weekly, @monthly, @yearly, `@every 1h`. A time zone goes into `timeZone`.

        schedule: "0 24 * * *"     # hours end at 23
    """
    for obj in model.objects_of("CronJob"):
        text = obj.get("spec", "schedule")
        problem = schedule_problem(text) if isinstance(text, str) else ""
        if problem:
            yield at(
                obj,
                "spec",
                "schedule",
                message=f"{text!r}: {problem}",
                fix='write five fields, such as "0 3 * * *"',
            )


def schedule_problem(text: str) -> str:
    """What is wrong with a schedule, empty where nothing is."""
    if text.startswith(("TZ=", "CRON_TZ=")):
        return "a time zone goes into spec.timeZone"
    if text.startswith("@"):
        known = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
        return "" if text in known or re.fullmatch(r"@every [0-9hmsuµn.]+", text) else "no such descriptor"
    parts = text.split()
    if len(parts) != len(SCHEDULE):
        return f"{len(parts)} fields, wants {len(SCHEDULE)}"
    for part, (what, low, high, words) in zip(parts, SCHEDULE, strict=True):
        for item in part.split(","):
            if not _in_range(item.lower(), low, high, words):
                return f"{item!r} is no {what}"
    return ""


def _in_range(item: str, low: int, high: int, words: tuple[str, ...]) -> bool:
    match = re.fullmatch(r"(?:[*?]|(\w+)(?:-(\w+))?)(?:/(\d{1,4}))?", item)
    if match is None or match[3] == "0":
        return False
    ends = [low if not words else 0, high]
    numbers = []
    for end in (match[1], match[2]):
        if end is None:
            continue
        if end in words:
            numbers.append(words.index(end) + (low if words is MONTHS else 0))
        elif end.isdecimal():
            numbers.append(int(end))
        else:
            return False
    low = ends[0] if words is DAYS else low
    return all(low <= number <= high for number in numbers) and numbers == sorted(numbers)


BLOCKS: dict[str, dict[str, None]] = {
    "NetworkPolicy": {
        "spec.ingress.*.from.*.ipBlock.cidr": None,
        "spec.egress.*.to.*.ipBlock.cidr": None,
        "spec.ingress.*.from.*.ipBlock.except.*": None,
        "spec.egress.*.to.*.ipBlock.except.*": None,
    },
    "Service": {"spec.loadBalancerSourceRanges.*": None},
}
ADDRESSES: dict[str, dict[str, None]] = {"Service": {"spec.externalIPs.*": None, "spec.loadBalancerIP": None}}


@rule("invalid-address", family="admission", severity="error", outcome="rejected by the API server")
def invalid_address(model: Model) -> Iterator[Hit]:
    """An IP address or block that does not parse, or an `except` outside its block.

    A NetworkPolicy's `cidr` wants a prefix length; a name or a bare address is refused.

        ipBlock:
          cidr: 10.0.0.1       # 10.0.0.1/32
    """
    for field, _ in fields(model, BLOCKS, {}, {}):
        if isinstance(field.value, str) and _block(field.value) is None:
            yield at(
                field.part,
                *field.path,
                message=f"{field.value!r} is no block of addresses",
                fix="write an address with a prefix length, such as 10.0.0.0/8",
            )
    for obj in model.objects_of("NetworkPolicy"):
        for way, peers in (("ingress", "from"), ("egress", "to")):
            for field in reach(obj, f"spec.{way}.*.{peers}.*.ipBlock", obj.doc):
                yield from _exceptions(field)
    for field, _ in fields(model, ADDRESSES, {"hostAliases.*.ip": None}, {}):
        if isinstance(field.value, str) and field.value and not _is_address(field.value):
            yield at(
                field.part,
                *field.path,
                message=f"{field.value!r} is no IP address",
                fix="write an address such as 10.0.0.1",
            )


def _exceptions(field: Field) -> Iterator[Hit]:
    """What an ipBlock excepts must be a part of it, and not all of it."""
    whole = _block(str(mapping(field.value).get("cidr")))
    excepted = mapping(field.value).get("except")
    for index, text in enumerate(excepted if isinstance(excepted, list) else []):
        part = _block(str(text))
        if whole is None or part is None or part.version != whole.version:
            continue
        inside = part.prefixlen > whole.prefixlen and part.network_address in whole
        if not inside:
            yield at(
                field.part,
                *field.path,
                "except",
                index,
                message=f"{text} is no part of {whole}",
                fix="name a smaller block inside it",
            )


def _block(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """A block of addresses; leading zeros are accepted as the server accepts them."""
    try:
        plain = re.sub(r"(?<![0-9a-fA-F:])0+(?=\d)", "", text)
        return ipaddress.ip_network(plain, strict=False) if "/" in text else None
    except ValueError:
        return None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
