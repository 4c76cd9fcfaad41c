"""What is beside the overlays for Argo CD, Flux and KEDA is valid for their own definitions."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import tools
from manifests.overlays import ROOT, WORKERS, Object, parse
from vhm.contract.topics import reads

RECONCILERS = sorted(
    str(path.parent.relative_to(ROOT))
    for path in ROOT.glob("overlays/*/*/kustomization.yaml")
    if path.parent.name in ("argocd", "flux")
)
SCALED = "tests/manifests/production-with-keda"
SCALED_WORKERS = {worker for worker in WORKERS if reads(worker)}


def build(kustomize: Path, folder: str) -> str:
    done = subprocess.run([kustomize, "build", ROOT / folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("folder", [*RECONCILERS, SCALED])
def test_custom_resources_are_valid(folder: str, kustomize: Path, kubeconform: Path) -> None:
    done = subprocess.run(
        [
            kubeconform,
            "-strict",
            "-summary",
            "-kubernetes-version=1.34.0",
            f"-schema-location={tools.schemas('1.34')}",
            f"-schema-location={tools.crds()}",
        ],
        input=build(kustomize, folder),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Skipped: 0" in done.stdout, done.stdout


@pytest.mark.parametrize("folder", RECONCILERS)
def test_a_reconciler_reads_the_overlay_it_is_beside(folder: str, kustomize: Path) -> None:
    overlay = folder.rpartition("/")[0]
    specs = [found.whole["spec"] for found in parse(build(kustomize, folder))]
    paths = [spec.get("path") or spec.get("source", {}).get("path") for spec in specs]
    assert [path.removeprefix("./") for path in paths if path] == [overlay]
    marked = [
        line
        for path in (ROOT / folder).glob("*.yaml")
        for line in path.read_text().splitlines()
        if "https://git.example.com/" in line
    ]
    assert len(marked) == 1
    assert marked[0].endswith("set it to yours")


def test_keda_scales_by_the_topic_each_worker_reads(kustomize: Path) -> None:
    found = list(parse(build(kustomize, SCALED)))
    scaled = {o.metadata.name: o.whole["spec"] for o in found if o.kind == "ScaledObject"}
    assert scaled.keys() == SCALED_WORKERS
    for worker, spec in scaled.items():
        [trigger] = spec["triggers"]
        assert trigger["metadata"]["topic"] in reads(worker)
        assert trigger["metadata"]["consumerGroup"] == worker
        assert spec["maxReplicaCount"] <= int(partitions(found))
        assert spec["scaleTargetRef"]["name"] == worker


def test_keda_alone_sets_the_replicas(kustomize: Path) -> None:
    for found in parse(build(kustomize, SCALED)):
        if found.kind == "Deployment" and found.metadata.name in SCALED_WORKERS:
            assert "replicas" not in found.whole["spec"]


def partitions(found: list[Object]) -> str:
    [config] = [o for o in found if o.kind == "ConfigMap" and o.metadata.name.startswith("vhm-config")]
    value: str = config.whole["data"]["KAFKA_TOPIC_PARTITIONS"]
    return value
