"""What the API server refuses in workloads: selectors, strategies, restart policies, jobs, budgets."""

from __future__ import annotations

import re
from collections.abc import Iterator

from preflight.cluster.objects import Obj, selects
from preflight.cluster.quantities import quantity
from preflight.cluster.workloads import Workload
from preflight.documents.paths import strings
from preflight.model import Model
from preflight.rules.fields import mapping, whole
from preflight.rules.registry import Violation, at, rule

SELECTING = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")


@rule("selector-without-its-pods", family="admission", severity="error", outcome="rejected by the API server")
def selector_without_its_pods(model: Model) -> Iterator[Violation]:
    """A workload whose selector does not select the pods of its own template, or is missing.

    selector:
      matchLabels: {app: indexer}
    template:
      metadata: {labels: {app: index}}
    """
    for workload in model.workloads:
        if workload.kind not in SELECTING:
            continue
        selector = workload.obj.get("spec", "selector")
        if selector is None:
            continue  # the schema says it
        labels = workload.labels
        if selector == {} or not (
            mapping(selector).get("matchLabels") or mapping(selector).get("matchExpressions")
        ):
            yield at(
                workload.obj,
                "spec",
                "selector",
                message="an empty selector",
                fix="name a label of the template under matchLabels",
            )
        elif not selects(selector, labels):
            wanted = strings(mapping(selector).get("matchLabels"))
            key = next((each for each, value in wanted.items() if labels.get(each) != value), "")
            path = ("matchLabels", key) if key else ("matchExpressions",)
            carried = f"{key}: {labels[key]}" if key in labels else "no such label"
            yield at(
                workload.obj,
                "spec",
                "selector",
                *path,
                message=f"selects {key}: {wanted[key]}, the pods have {carried}"
                if key
                else "selects no pod of it",
                fix="write the same in the selector and in the template's labels",
            )


@rule("invalid-strategy", family="admission", severity="error", outcome="rejected by the API server")
def invalid_strategy(model: Model) -> Iterator[Violation]:
    """A rollout strategy that could never roll, or is given with another.

    maxSurge and maxUnavailable cannot both be 0; `Recreate` takes no `rollingUpdate` (a patch must set it to
    null); percentages are whole, maxUnavailable at most 100%; progressDeadlineSeconds exceeds
    minReadySeconds.

        strategy:
          type: Recreate
          rollingUpdate: {maxSurge: 1}
    """
    for obj in model.objects_of("Deployment", "DaemonSet", "StatefulSet"):
        field = "strategy" if obj.kind == "Deployment" else "updateStrategy"
        kind, rolling = obj.get("spec", field, "type"), obj.get("spec", field, "rollingUpdate")
        if kind == "Recreate" and rolling is not None and obj.kind == "Deployment":
            yield at(
                obj,
                "spec",
                field,
                "rollingUpdate",
                message="is given, and the type is Recreate",
                fix="set rollingUpdate: null",
            )
        surge, unavailable = mapping(rolling).get("maxSurge"), mapping(rolling).get("maxUnavailable")
        for name, value in (("maxSurge", surge), ("maxUnavailable", unavailable)):
            problem = _portion_problem(name, value)
            if problem:
                yield at(obj, "spec", field, "rollingUpdate", name, message=problem, fix="write 1, or 25%")
        default = 0 if obj.kind == "DaemonSet" else "25%"
        stuck = all(str(each) in ("0", "0%") for each in (unavailable, default if surge is None else surge))
        if obj.kind == "DaemonSet" and surge not in (None, 0, "0%") and unavailable not in (0, "0%"):
            yield at(
                obj,
                "spec",
                field,
                "rollingUpdate",
                "maxSurge",
                message="a DaemonSet surges only where maxUnavailable is 0 (the default is 1)",
                fix="write maxUnavailable: 0",
            )
        if stuck and obj.kind != "StatefulSet":
            yield at(
                obj,
                "spec",
                field,
                "rollingUpdate",
                "maxUnavailable",
                message="0, and maxSurge is 0: no pod could ever be replaced",
                fix="let one of them be 1",
            )
    for obj in model.objects_of("Deployment"):
        deadline, ready = (whole(obj.get("spec", f)) for f in ("progressDeadlineSeconds", "minReadySeconds"))
        ready = ready or 0
        if (600 if deadline is None else deadline) <= ready:
            limit = 600 if deadline is None else deadline
            yield at(
                obj,
                "spec",
                "minReadySeconds" if deadline is None else "progressDeadlineSeconds",
                message=f"the deadline ({limit} s) must exceed minReadySeconds ({ready})",
                fix="raise progressDeadlineSeconds",
            )


def _portion_problem(name: str, value: object) -> str:
    """What is wrong with an int-or-percentage, empty where nothing is."""
    if isinstance(value, str):
        match = re.fullmatch(r"([0-9]+)%", value)
        if match is None:
            return f"{value!r} is neither a number nor a percentage"
        return f"{value}; at most 100%" if name == "maxUnavailable" and int(match[1]) > 100 else ""
    number = whole(value)
    return f"{number} is negative" if number is not None and number < 0 else ""


@rule("invalid-restart-policy", family="admission", severity="error", outcome="rejected by the API server")
def invalid_restart_policy(model: Model) -> Iterator[Violation]:
    """A restart policy the workload cannot have: only Always where pods run on, OnFailure or Never in a Job.

    A Job must say one of the two: the default is Always.

        kind: Job
        spec: {template: {spec: {restartPolicy: Always}}}
    """
    for workload in model.workloads:
        policy = workload.get("restartPolicy")
        wanted = ("OnFailure", "Never") if workload.kind in ("Job", "CronJob") else ("Always",)
        if workload.kind == "Pod" or policy in wanted or (policy is None and "Always" in wanted):
            continue
        if policy not in (None, "Always", "OnFailure", "Never"):
            continue  # unknown-value says it
        yield at(
            workload,
            "restartPolicy",
            message=f"{policy or 'Always (the default)'} in a {workload.kind}",
            fix=f"write restartPolicy: {wanted[0]}",
        )


@rule("invalid-job", family="admission", severity="error", outcome="rejected by the API server")
def invalid_job(model: Model) -> Iterator[Violation]:
    """A Job with a selector of its own, or an indexed one without completions.

    The Job controller makes the selector; giving one needs `manualSelector: true`.

        kind: Job
        spec: {completionMode: Indexed, parallelism: 2}      # completions: 5
    """
    for obj in model.objects_of("Job", "CronJob"):
        path = ("spec",) if obj.kind == "Job" else ("spec", "jobTemplate", "spec")
        spec = mapping(obj.get(*path))
        if spec.get("selector") is not None and spec.get("manualSelector") is not True:
            yield at(
                obj, *path, "selector", message="a Job's selector is made by its controller", fix="remove it"
            )
        counted = obj.kind == "Job" and spec.get("parallelism") is None  # then both default to 1
        lacks = spec.get("completions") is None and not counted
        if spec.get("completionMode") == "Indexed" and lacks:
            yield at(
                obj,
                *path,
                "completionMode",
                message="Indexed, and completions is not given",
                fix="give completions",
            )


@rule("invalid-budget", family="admission", severity="error", outcome="rejected by the API server")
def invalid_budget(model: Model) -> Iterator[Violation]:
    """A disruption budget with minAvailable and maxUnavailable both, or an autoscaler whose minimum exceeds
    its maximum.

        minAvailable: 1
        maxUnavailable: 1
    """
    for obj in model.objects_of("PodDisruptionBudget"):
        given = [name for name in ("minAvailable", "maxUnavailable") if obj.get("spec", name) is not None]
        if len(given) == 2:
            yield at(
                obj, "spec", given[1], message="minAvailable is given as well", fix="keep one of the two"
            )
        for name in given:
            problem = _portion_problem("maxUnavailable", obj.get("spec", name))
            if problem:
                yield at(obj, "spec", name, message=problem, fix="write 1, or 50%")
    for obj in model.objects_of("HorizontalPodAutoscaler"):
        low, high = whole(obj.get("spec", "minReplicas")), whole(obj.get("spec", "maxReplicas"))
        if low is not None and high is not None and low > high:
            yield at(
                obj,
                "spec",
                "maxReplicas",
                message=f"{high}, and minReplicas is {low}",
                fix=f"write at least {low}",
            )


@rule("spread-twice", family="admission", severity="error", outcome="rejected by the API server")
def spread_twice(model: Model) -> Iterator[Violation]:
    """Two spread constraints over the same topology key that act in the same way.

    topologySpreadConstraints:
    - {topologyKey: zone, whenUnsatisfiable: DoNotSchedule, maxSkew: 1}
    - {topologyKey: zone, whenUnsatisfiable: DoNotSchedule, maxSkew: 2}
    """
    for workload in model.workloads:
        yield from _spread(workload)


def _spread(workload: Workload) -> Iterator[Violation]:
    seen = set()
    for index, each in enumerate(workload.items("topologySpreadConstraints")):
        key = (str(mapping(each).get("topologyKey")), str(mapping(each).get("whenUnsatisfiable")))
        if key in seen:
            yield at(
                workload,
                "topologySpreadConstraints",
                index,
                "topologyKey",
                message=f"a second constraint over {key[0]} with {key[1]}",
                fix="keep one of them",
            )
        seen.add(key)


def claims_of(obj: Obj) -> Iterator[tuple[tuple[str | int, ...], dict[str, object]]]:
    """The claim specs an object holds, each with its path."""
    if obj.kind == "PersistentVolumeClaim":
        yield ("spec",), mapping(obj.get("spec"))
    if obj.kind == "StatefulSet":
        for index, each in enumerate(obj.items("spec", "volumeClaimTemplates")):
            yield ("spec", "volumeClaimTemplates", index, "spec"), mapping(mapping(each).get("spec"))


@rule("invalid-claim", family="admission", severity="error", outcome="rejected by the API server")
def invalid_claim(model: Model) -> Iterator[Violation]:
    """A claim without access modes or without a size, or with ReadWriteOncePod beside another mode.

    spec:
      accessModes: [ReadWriteOnce]
      resources: {requests: {storage: 1Gi}}      # missing
    """
    for obj in model.objects_of("PersistentVolumeClaim", "StatefulSet"):
        for path, spec in claims_of(obj):
            modes = spec.get("accessModes")
            if not modes:
                yield at(
                    obj,
                    *path,
                    "accessModes",
                    message="no access mode",
                    fix="write accessModes: [ReadWriteOnce]",
                )
            elif isinstance(modes, list) and "ReadWriteOncePod" in modes and len(modes) > 1:
                yield at(
                    obj,
                    *path,
                    "accessModes",
                    message="ReadWriteOncePod cannot stand beside others",
                    fix="keep one mode",
                )
            requests = mapping(mapping(spec.get("resources")).get("requests"))
            if requests.get("storage") is None or quantity(requests["storage"]) == 0:
                yield at(
                    obj,
                    *path,
                    "resources",
                    "requests",
                    "storage",
                    message="no size",
                    fix="write resources: {requests: {storage: 1Gi}}",
                )
