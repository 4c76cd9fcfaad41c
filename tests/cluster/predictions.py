"""The broken cases as a cluster can take them: preflight's word on each, and its objects for a namespace."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import yaml

from cluster import images
from cluster.cluster import ROOT
from preflight.findings import Finding
from preflight.repository.app import Apps
from preflight.repository.config import Config, load_config
from preflight.run import findings_of, model_of
from tools import binary

BROKEN = ROOT / "tests" / "preflight" / "broken"
REJECTED = "rejected by the API server"
CLUSTER_WIDE = ("Namespace", "PersistentVolume", "ClusterRole", "ClusterRoleBinding", "StorageClass")
"""Kinds that would outlast a case's namespace."""
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")
CLEAN = ROOT / "overlays" / "minikube"

ELSEWHERE = {
    "scaler-of-another-topic": "wants KEDA",
    "shutdown-longer-than-grace": "shows where a stop takes longer than the grace period",
    "topic-misspelt": "wants the scripts of the broker's published image",
    "topics-created-without-the-prefix": "wants the scripts of the broker's published image",
    "workers-differ-in-their-broker": "wants a second broker at the other address",
}
"""Cases whose fault this cluster, or the minutes a test has, cannot bring out, and why."""

NO_STATE = {
    "insecure": "works, and is no state of a pod",
    "runs old code": "works, and is no state of a pod",
}


class Prediction(msgspec.Struct, frozen=True):
    """What preflight says of one case: the object and what becomes of it."""

    case: str
    rule: str
    severity: str
    object: str
    outcome: str

    @property
    def kind(self) -> str:
        return self.object.partition("/")[0]

    @property
    def folder(self) -> Path:
        return BROKEN / self.case

    @property
    def not_applied(self) -> str:
        """Why the case is not applied; empty where it is."""
        return ELSEWHERE.get(self.case, NO_STATE.get(self.outcome, ""))


def predictions(wanted: re.Pattern[str]) -> Iterator[Prediction]:
    """preflight's own word on every case with a wanted `case: outcome`, each outcome of an object once."""
    config = load_config(ROOT)
    with Apps(ROOT, config.containers) as own:
        for path in sorted(BROKEN.glob("*/expected.json")):
            folder, expected = path.parent, json.loads(path.read_text())
            outcomes = [each["outcome"] for each in expected]
            if not any(wanted.search(f"{folder.name}: {outcome}") for outcome in outcomes):
                continue
            found = _findings(folder, config, own)
            for each in {(each.object, each.outcome): each for each in found}.values():
                yield Prediction(folder.name, each.rule, each.severity, each.object, each.outcome)


def _findings(folder: Path, config: Config, own: Apps) -> list[Finding]:
    model = model_of(str(folder), root=ROOT, config=config, apps=own)
    # the tag of our own tree may be amid a change, and every case carries it
    return findings_of(model, skip=("not-in-schema", "image-not-of-this-tree"))


def documents(folder: Path, namespace: str, published: bool = False) -> list[str]:
    """The objects of a folder for that namespace, with images that are here, or with the `published` ones."""
    command = [str(binary("kustomize")), "build", str(folder)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    text = re.sub(r"(?m)^(\s+namespace:) vhm$", rf"\1 {namespace}", text)
    text = re.sub(r"(?m)^(kind: Namespace\nmetadata:\n(?:  .*\n)*?  name:) vhm$", rf"\1 {namespace}", text)
    text = re.sub(r"localhost/vhm-worker:t\w{12}\b", f"{images.IMAGE}:{images.tag()}", text)
    if images.standins() and not published:
        text = re.sub(r"image: apache/kafka:\S+", "image: localhost/kafka:standin", text)
        text = re.sub(r"image: qdrant/qdrant:\S+", "image: localhost/qdrant:standin", text)
    if "kind: ResourceQuota" not in text and "kind: LimitRange" not in text:
        # several systems side by side ask for more than a small node has
        text = re.sub(r"(requests:\n\s+cpu:) \d+m", r"\1 1m", text)
    return re.split(r"(?m)^---$\n", text)


def identity(document: str) -> str:
    """`Kind/name` of a document."""
    whole = yaml.load(document, Loader=yaml.BaseLoader)
    return f"{whole.get('kind', '')}/{whole.get('metadata', {}).get('name', '')}"


def stream(found: list[str], wanted: Callable[[str], bool]) -> str:
    """The documents whose identity is wanted, as one stream."""
    return "---\n".join(each for each in found if wanted(identity(each)))


def concerned(prediction: Prediction) -> Callable[[str], bool]:
    """Of a case whose fault one workload shows alone: that workload, and all that is no workload."""

    def wanted(name: str) -> bool:
        kind = name.partition("/")[0]
        if kind in CLUSTER_WIDE:
            return False
        if kind not in WORKLOADS:
            return True
        if prediction.kind in WORKLOADS:
            return name == prediction.object
        # what the workers read says nothing to broker and store, which take longest to start
        return kind == "Deployment" or prediction.kind != "ConfigMap" or "kafka" in prediction.object

    return wanted


def changes_nothing(prediction: Prediction) -> str:
    """Whether the overlay's own objects come out as they do without the case's edit."""
    clean, case = (set(documents(folder, "vhm")) for folder in (CLEAN, prediction.folder))
    if clean == case:
        return "applies nothing"
    more = ", ".join(sorted(identity(each) for each in case - clean))
    return f"not applied: {more} is there, and no pod's state tells of it"


def kustomize_on_path() -> None:
    """preflight takes the kustomize that these tests build."""
    folder = str(binary("kustomize").parent)
    if folder not in os.environ["PATH"].split(os.pathsep):
        os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
