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
from preflight.apps import Apps
from preflight.config import Config, load_config
from preflight.engine import findings_of, model_of
from preflight.findings import CannotLook, Finding
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
def predictions(kustomize: Path) -> list[Prediction]:
    """preflight's own word on every case that is an overlay of this repository, and not about an upgrade."""
    os.environ["PATH"] = f"{kustomize.parent}{os.pathsep}{os.environ['PATH']}"
    config = load_config(ROOT)
    with Apps(ROOT, config.containers) as apps:
        return [
            Prediction(folder.name, finding.rule, finding.object, finding.outcome)
            for folder in sorted(path.parent for path in BROKEN.glob("*/expected.json"))
            if not (folder / "pyproject.toml").exists() and not (folder / "before").exists()
            for finding in _findings(folder, config, apps)
            if finding.severity == "error"
        ]


def _findings(folder: Path, config: Config, apps: Apps) -> list[Finding]:
    try:
        return findings_of(
            model_of(str(folder), root=ROOT, config=config, apps=apps), skip=("not-in-schema",)
        )
    except CannotLook:
        return []


@pytest.mark.timeout(2400)
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
        if prediction.outcome == REJECTED:
            return "accepted" if _created(cluster, stream, "--dry-run=server") else REJECTED
        _created(cluster, stream)
        return _watch(cluster, namespace, prediction)
    finally:
        cluster.kubectl("delete", "namespace", namespace, "--wait=false")


def _build(case: str) -> str:
    command = [binary("kustomize"), "build", BROKEN / case]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _moved(stream: str, namespace: str, prediction: Prediction) -> str:
    """The case's objects for that namespace: the one workload concerned, with images that are here."""
    text = re.sub(r"(?m)^(\s+namespace:) vhm$", rf"\1 {namespace}", stream)
    text = re.sub(r"localhost/vhm-worker:t\w{12}\b", f"{images.IMAGE}:{images.tag()}", text)
    if images.standins():
        text = re.sub(r"image: apache/kafka:\S+", "image: localhost/kafka:standin", text)
        text = re.sub(r"image: qdrant/qdrant:\S+", "image: localhost/qdrant:standin", text)
    concerned = prediction.object.startswith(WORKLOADS)
    return "---".join(
        document
        for document in re.split(r"(?m)^---$", text)
        for kind, name in [_identity(document)]
        if kind != "Namespace"
        and (kind not in WORKLOADS or not concerned or f"{kind}/{name}" == prediction.object)
    )


def _identity(document: str) -> tuple[str, str]:
    whole = yaml.load(document, Loader=yaml.BaseLoader)
    return whole.get("kind", ""), whole.get("metadata", {}).get("name", "")


def _created(cluster: Cluster, stream: str, *options: str) -> bool:
    """Create what can be created; whether that was all."""
    try:
        cluster.kubectl("create", "-f", "-", *options, stdin=stream)
    except Failed:
        return False
    return True


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
