"""What a cluster makes of a broken case, in the words that preflight uses for outcomes.

A case goes into a namespace of its own. What the API server refuses is only asked of it; what one pod shows
alone is tried with that workload; what takes the whole system is tried with all of it, the other workloads
ready, and a client that speaks to it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from cluster.case_system import CaseSystem, apply, namespace, pods_of
from cluster.cluster import Cluster, ClusterError
from cluster.predictions import REJECTED, Prediction, changes_nothing, concerned, documents, stream

CRASHES = {"CrashLoopBackOff", "OOMKilled", "RunContainerError", "StartError", "Error", "Completed"}
WHOLE = {"never ready", "ready but unreachable", "ready but silent"}
"""Outcomes that take the whole system."""
PATIENCE = 90.0
"""Seconds until an outcome of one pod must have shown; the slowest is a broker that runs out of memory."""


def same(predicted: str, seen: str) -> bool:
    """Whether the two are one class of outcome, as the cluster's words go over into each other."""
    if predicted == "CrashLoopBackOff" or (predicted in CRASHES and seen == "CrashLoopBackOff"):
        return seen in CRASHES
    return predicted == seen


def observe(cluster: Cluster, prediction: Prediction, outside: str) -> str:
    """What the cluster makes of the case; `not applied: …` or `failed: …` with the reason."""
    try:
        return _observe(cluster, prediction, outside)
    except ClusterError as failed:
        return f"failed: {' '.join(str(failed).split())[:200]}"


def _observe(cluster: Cluster, prediction: Prediction, outside: str) -> str:
    if reason := prediction.not_applied:
        return f"not applied: {reason}"
    if prediction.outcome == "applies nothing":
        return changes_nothing(prediction)
    with namespace(cluster, prediction.case) as name:
        if prediction.outcome == REJECTED:
            return _refused(cluster, name, prediction)
        if prediction.outcome in WHOLE:
            return CaseSystem(cluster, name, outside).observe(prediction)
        apply(cluster, stream(documents(prediction.folder, name), concerned(prediction)))
        return watch(cluster, name, prediction.object, prediction.outcome)


def _refused(cluster: Cluster, name: str, prediction: Prediction) -> str:
    """The API server's word on the one object."""
    own = prediction.object.replace("Namespace/vhm", f"Namespace/{name}")
    changed = stream(documents(prediction.folder, name), own.__eq__)
    return REJECTED if apply(cluster, changed, "--dry-run=server") else "accepted"


def watch(cluster: Cluster, namespace: str, named: str, outcome: str) -> str:
    """The predicted state of `Kind/name` as soon as it shows; what there was instead when it does not in
    time."""
    if named.startswith("PersistentVolumeClaim/"):
        return _phase(cluster, namespace, named)
    until, seen = time.monotonic() + PATIENCE, "nothing"
    while time.monotonic() < until:
        pods = pods_of(cluster, namespace)
        events = json.loads(cluster.kubectl("-n", namespace, "get", "events", "-o", "json"))["items"]
        states = [*_states(pods), *_reasons(events, pods)]
        if match := next((state for state in states if same(outcome, state)), None):
            return match
        seen = ", ".join(sorted(set(states))) or "nothing"
        time.sleep(1)
    return "no pods" if not pods else seen


def _phase(cluster: Cluster, namespace: str, claim: str) -> str:
    """A claim's phase, when there was time enough to bind it."""
    time.sleep(10)
    return cluster.kubectl("-n", namespace, "get", claim, "-o", "jsonpath={.status.phase}")


def _states(pods: list[dict[str, Any]]) -> Iterator[str]:
    """The words of `kubectl get pods`, ErrImagePull and ImagePullBackOff as one."""
    for pod in pods:
        for status in pod["status"].get("containerStatuses", []):
            for state in (status["state"], status.get("lastState", {})):
                for kind in ("waiting", "terminated"):
                    if reason := state.get(kind, {}).get("reason"):
                        yield "ErrImagePull" if reason == "ImagePullBackOff" else reason
        conditions = pod["status"].get("conditions", [])
        if any(condition.get("reason") == "Unschedulable" for condition in conditions):
            yield "Pending"


def _reasons(events: list[dict[str, Any]], pods: list[dict[str, Any]]) -> Iterator[str]:
    """What only events tell: no pods at all, mounts that fail, and pods that nothing can be started in."""
    names = [pod["metadata"]["name"] for pod in pods]
    for event in events:
        owner = event["involvedObject"]["name"]
        if event["reason"] == "FailedCreate" and not any(name.startswith(owner) for name in names):
            yield "no pods"
        if event["reason"] == "FailedMount":
            yield "FailedMount"
        if event["reason"] == "FailedCreatePodSandBox":
            # kubectl shows ContainerCreating for ever; the pod's phase is this
            yield "Pending"
