"""Predicted is observed: the broken cases are applied, and the node must say what preflight said it would.

What shows in a pod's state or in the API server's answer is tried here; that a pod is never ready, silent or
out of reach takes a whole system and a wait for each case, and is marked so in the table.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from cluster import images
from cluster.cluster import ROOT, Cluster, Failed
from tools import binary

BROKEN = ROOT / "tests" / "broken"
REJECTED = "rejected by the API server"
CRASHES = {"CrashLoopBackOff", "OOMKilled", "RunContainerError", "Error", "Completed"}
SEEN_IN_PODS = {
    "no pods",
    "Pending",
    "FailedMount",
    "InvalidImageName",
    "ErrImagePull",
    "ErrImageNeverPull",
    "CreateContainerConfigError",
    "CreateContainerError",
    *CRASHES,
}
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")
AT_ONCE = 3
"""Cases on the node at the same time; each is a few pods at most."""
PATIENCE = 75.0
"""Seconds until an outcome must have shown; the slowest is a broker that runs out of memory."""


class Prediction(msgspec.Struct, frozen=True):
    """What preflight says of one case: the object and what becomes of it."""

    case: str
    rule: str
    object: str
    outcome: str


@pytest.fixture(scope="module")
def predictions() -> list[Prediction]:
    """preflight's own word on every case that is an overlay of this repository."""
    folders = [p.parent for p in BROKEN.glob("*/expected.json") if not (p.parent / "pyproject.toml").exists()]
    with ThreadPoolExecutor(2) as pool:
        found = pool.map(_predict, sorted(folder for folder in folders if not (folder / "before").exists()))
        return [prediction for several in found for prediction in several]


def _predict(folder: Path) -> Iterator[Prediction]:
    done = subprocess.run(
        ["preflight", "check", str(folder), "--format", "json"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PATH": f"{binary('kustomize').parent}{os.pathsep}{os.environ['PATH']}"},
        check=False,
    )
    findings = json.loads(done.stdout) if done.returncode < 2 else []
    return (
        Prediction(folder.name, each["rule"], each["object"], each["outcome"])
        for each in findings
        if each["severity"] == "error"
    )


def test_what_was_predicted_is_observed(cluster: Cluster, predictions: list[Prediction]) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        observed = list(pool.map(lambda each: observe(cluster, each), predictions))
    print(f"\n{'case':<40} {'predicted':<28} observed")
    for each, seen in zip(predictions, observed, strict=True):
        print(f"{each.case:<40} {each.outcome:<28} {seen}")
    differ = [
        f"{each.case}: {each.rule} says {each.outcome}, the cluster {seen}"
        for each, seen in zip(predictions, observed, strict=True)
        if seen != "not tried" and not same(each.outcome, seen)
    ]
    assert differ == []
    assert any(seen != "not tried" for seen in observed)


def same(predicted: str, seen: str) -> bool:
    """Whether the two are one class of outcome."""
    if predicted == "CrashLoopBackOff" or (predicted in CRASHES and seen == "CrashLoopBackOff"):
        return seen in CRASHES
    return predicted == seen


def observe(cluster: Cluster, prediction: Prediction) -> str:
    """What the cluster makes of the case, in a namespace of its own."""
    if prediction.outcome != REJECTED and prediction.outcome not in SEEN_IN_PODS:
        return "not tried"
    namespace = re.sub("[^a-z0-9-]", "-", f"case-{prediction.case}")[:63].rstrip("-")
    stream = _moved(_build(prediction.case), namespace, prediction)
    cluster.apply(
        f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}, labels: "
        "{pod-security.kubernetes.io/enforce: restricted}}\n"
    )
    try:
        refusals = _create(cluster, stream)
        if prediction.outcome == REJECTED or refusals:
            return REJECTED if refusals else "accepted"
        return _watch(cluster, namespace, prediction)
    finally:
        cluster.kubectl("delete", "namespace", namespace, "--wait=false")


def _build(case: str) -> str:
    command = [binary("kustomize"), "build", BROKEN / case]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _moved(stream: str, namespace: str, prediction: Prediction) -> list[str]:
    """The case's objects for that namespace: the one workload concerned, with images that are here."""
    text = re.sub(r"(?m)^(\s+namespace:) vhm$", rf"\1 {namespace}", stream)
    text = re.sub(r"localhost/vhm-worker:t\w{12}\b", f"{images.IMAGE}:{images.tag()}", text)
    if images.standins():
        text = re.sub(r"image: apache/kafka:\S+", "image: localhost/kafka:standin", text)
        text = re.sub(r"image: qdrant/qdrant:\S+", "image: localhost/qdrant:standin", text)
    concerned = prediction.object.startswith(WORKLOADS)
    return [
        document
        for document in re.split(r"(?m)^---$", text)
        for kind, name in [_identity(document)]
        if kind != "Namespace"
        and (kind not in WORKLOADS or not concerned or f"{kind}/{name}" == prediction.object)
    ]


def _identity(document: str) -> tuple[str, str]:
    whole = yaml.load(document, Loader=yaml.BaseLoader)
    return whole.get("kind", ""), whole.get("metadata", {}).get("name", "")


def _create(cluster: Cluster, documents: list[str]) -> list[str]:
    """Create each object; what the API server says of those it refuses."""
    refusals = []
    for document in documents:
        try:
            cluster.kubectl("create", "-f", "-", stdin=document)
        except Failed as refusal:
            refusals.append(str(refusal))
    return refusals


def _watch(cluster: Cluster, namespace: str, prediction: Prediction) -> str:
    until, seen = time.monotonic() + PATIENCE, "nothing"
    while time.monotonic() < until:
        pods = json.loads(cluster.kubectl("-n", namespace, "get", "pods", "-o", "json"))["items"]
        events = json.loads(cluster.kubectl("-n", namespace, "get", "events", "-o", "json"))["items"]
        states = [*_states(pods), *_reasons(events, pods)]
        if match := next((state for state in states if same(prediction.outcome, state)), None):
            return match
        seen = ", ".join(sorted(set(states))) or "nothing"
        time.sleep(1)
    return seen


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
    """What only events tell: no pods at all, and mounts that fail."""
    for event in events:
        if event["reason"] == "FailedCreate" and not pods:
            yield "no pods"
        if event["reason"] == "FailedMount":
            yield "FailedMount"
