"""Rollouts and drains that cannot happen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from preflight.cluster.objects import Field, Obj
from preflight.cluster.workloads import Workload
from preflight.documents.paths import Step
from preflight.facts.selectors import selected
from preflight.model import Model
from preflight.rules.lifecycle.scaling import scaled
from preflight.rules.registry import Violation, at, rule

ONE_POD = "ReadWriteOncePod"


def exclusive_claims(workload: Workload) -> Iterator[tuple[Field, Obj, str]]:
    """The claims of the render that a workload's pods share and only one node, or one pod, may have: where
    they are named, and their access mode."""
    for name in workload.fields("volumes.*.persistentVolumeClaim.claimName"):
        claim = workload.index.find("PersistentVolumeClaim", workload.namespace, str(name.doc))
        modes = {str(mode) for mode in claim.items("spec", "accessModes")} if claim is not None else set()
        if claim is not None and modes in ({"ReadWriteOnce"}, {ONE_POD}):
            yield name, claim, modes.pop()


def keeps_old_pods(workload: Workload) -> bool:
    """Whether a Deployment's rollout stops no old pod before a new one is ready."""
    strategy = workload.obj.get("spec", "strategy", "type", default="RollingUpdate")
    if workload.kind != "Deployment" or strategy != "RollingUpdate":
        return False
    given = workload.obj.get("spec", "strategy", "rollingUpdate", "maxUnavailable", default="25%")
    if isinstance(given, str) and given.removesuffix("%").isdigit():
        return int(given.removesuffix("%")) * max(workload.replicas, 1) < 100
    return bool(given == 0)


def _strategy(workload: Workload) -> tuple[Step, ...]:
    for path in (("spec", "strategy", "rollingUpdate", "maxUnavailable"), ("spec", "strategy")):
        if workload.obj.get(*path) is not None:
            return path
    return ("spec",)


@rule("claim-shared-by-replicas", family="lifecycle", severity="warning", outcome="FailedMount")
def claim_shared_by_replicas(model: Model) -> Iterator[Violation]:
    """Several pods on a claim that only one node, or one pod, may have.

    `ReadWriteOnce` is one node: pods on others wait with `Multi-Attach error`, and those on the same node
    write over each other. `ReadWriteOncePod` is one pod: the others stay Pending, which is an error.

        replicas: 3                    # and accessModes: [ReadWriteOnce]
    """
    for workload in model.workloads:
        if workload.kind not in ("Deployment", "ReplicaSet") or workload.replicas < 2:
            continue
        for name, claim, mode in exclusive_claims(workload):
            yield at(
                name,
                message=f"{workload.replicas} pods of {workload.obj.ref} share claim {claim.name}, "
                f"whose access mode is {mode}",
                fix="use a StatefulSet with volumeClaimTemplates, replicas: 1, or ReadWriteMany",
                severity="error" if mode == ONE_POD else "warning",
                outcome="Pending" if mode == ONE_POD else "FailedMount",
            )


@rule("rollout-waits-for-itself", family="lifecycle", severity="warning", outcome="never rolls out")
def rollout_waits_for_itself(model: Model) -> Iterator[Violation]:
    """A rollout whose new pod needs what the old one holds until the new one is ready.

    With `maxUnavailable: 0`, which is also what 25 % of up to three pods come to, an old pod goes only when a
    new one is ready. A new pod that needs the same `ReadWriteOnce` claim on another node, or the same host
    port on a full set of nodes, never is. `ReadWriteOncePod` blocks every rollout and is an error.

        strategy: {type: RollingUpdate}      # Recreate
    """
    for workload in model.workloads:
        if not keeps_old_pods(workload) or workload.replicas == 0:
            continue
        for _, claim, mode in exclusive_claims(workload):
            yield at(
                workload.obj.field(*_strategy(workload)),
                message="the old pod is kept until the new pod is ready, and both need claim "
                f"{claim.name} ({mode})",
                fix="write strategy: {type: Recreate}",
                severity="error" if mode == ONE_POD else "warning",
            )
        for container in workload.containers:
            port = next((each for each in container.fields("ports.*.hostPort") if each.doc), None)
            if port is not None and container.role != "init":
                yield at(
                    port,
                    message=f"hostPort {port.doc} stays bound by the old pod, which is kept until the new "
                    "pod is ready",
                    fix="set maxUnavailable: 1 or remove hostPort",
                )


@rule("drain-blocked", family="lifecycle", severity="warning", outcome="never rolls out")
def drain_blocked(model: Model) -> Iterator[Violation]:
    """A disruption budget that never lets a pod go.

    `kubectl drain`, node upgrades and the cluster autoscaler evict pods only as far as budgets allow. With
    `maxUnavailable: 0`, or `minAvailable` at the number of pods, they wait for ever.

        minAvailable: 1                # and replicas: 1
    """
    for budget in model.objects_of("PodDisruptionBudget"):
        evicted = [
            each
            for each in selected(model, budget.get("spec", "selector"), budget.namespace)
            if each.kind in ("Deployment", "StatefulSet", "ReplicaSet")
        ]
        if not evicted or any(scaled(model, each) for each in evicted):
            continue
        pods = sum(each.replicas for each in evicted)
        field = "maxUnavailable" if budget.get("spec", "maxUnavailable") is not None else "minAvailable"
        value = budget.get("spec", field)
        number = _number(value, pods)
        if pods and (number == 0 if field == "maxUnavailable" else number >= pods):
            yield at(
                budget.field("spec", field),
                message=f"{field}: {value} with {pods} pod{'s' if pods > 1 else ''} of "
                f"{evicted[0].obj.ref}: no pod may ever be evicted",
                fix="write maxUnavailable: 1" if pods > 1 else "set replicas: 2, or remove the budget",
            )


def _number(value: Any, pods: int) -> int:
    """Pods that an int-or-percentage stands for, rounded up as the controller does; -1 for neither."""
    if isinstance(value, str) and value.removesuffix("%").isdigit() and value.endswith("%"):
        return -(-int(value[:-1]) * pods // 100)
    return value if isinstance(value, int) and not isinstance(value, bool) else -1
