"""What preflight's admission rules call refused, a real API server refuses, and the clean neighbours neither.

`refusals.yaml` holds one small object of each kind and, line by line, changes to it. Each changed object is
sent with `--dry-run=server`; the server's verdict and preflight's must be the same.
"""

from __future__ import annotations

import copy
import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.cluster import HERE, ROOT, Cluster, Failed
from preflight.model import Model
from preflight.render.load import load
from preflight.repository.config import Config
from preflight.run import findings_of

NAMESPACE = "preflight-refusals"
ASKED: dict[str, Any] = yaml.safe_load((HERE / "refusals.yaml").read_text())
BASES = {each["kind"]: each for each in ASKED["bases"]}
CLUSTER_WIDE = ("ClusterRole", "ClusterRoleBinding", "PersistentVolume", "PriorityClass", "StorageClass")


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    """A cluster's API server, with a namespace for what is only tried."""
    kubeconfig = os.environ.get("KUBECONFIG")
    if not kubeconfig or not shutil.which("kubectl"):
        pytest.skip("no cluster: set KUBECONFIG to one, with kubectl on PATH")
    cluster = Cluster(Path(kubeconfig), ROOT / "overlays" / "minikube")
    cluster.kubectl("create", "namespace", NAMESPACE)
    yield cluster
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.mark.parametrize("kind", BASES)
def test_the_server_and_preflight_agree(kind: str, server: Cluster) -> None:
    docs = [_changed(kind, change) for change in [{}, *ASKED["changes"].get(kind, [])]]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda doc: _refused(server, doc), docs))
    disagreed = []
    for doc, answer in zip(docs, answers, strict=True):
        ours = _findings(doc)
        if bool(answer) != bool(ours):
            disagreed.append(
                f"{json.dumps(doc)}\n  server: {answer or 'accepts it'}\n  preflight: {ours or 'nothing'}"
            )
    assert not disagreed, "\n".join(disagreed)


def _changed(kind: str, change: dict[str, Any]) -> dict[str, Any]:
    doc: dict[str, Any] = copy.deepcopy(BASES[kind])
    if kind not in CLUSTER_WIDE:
        doc["metadata"]["namespace"] = NAMESPACE
    for path, value in change.items():
        *steps, last = path.split(".")
        here: Any = doc
        for step in steps:
            here = here[int(step)] if step.isdigit() else here.setdefault(step, {})
        here[int(last) if last.isdigit() else last] = value
    return doc


def _refused(server: Cluster, doc: dict[str, Any]) -> str:
    """The server's reason, empty where it takes the object."""
    try:
        # schemas are another rule's matter
        server.kubectl("create", "--dry-run=server", "--validate=false", "-f", "-", stdin=json.dumps(doc))
    except Failed as refusal:
        return " ".join(str(refusal).split())[:300]
    return ""


def _findings(doc: dict[str, Any]) -> list[str]:
    objects = load("-", Path("/"), stdin=json.dumps(doc).encode()).objects
    model = Model(root=Path("/"), config=Config(), target="-", objects=objects)
    return [
        f"{each.rule}: {each.message}"
        for each in findings_of(model, only=("admission",))
        if each.severity == "error" and each.outcome == "rejected by the API server"
    ]
