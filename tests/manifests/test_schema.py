"""Every overlay is valid for the oldest and the newest Kubernetes we speak of, unknown fields refused."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import tools
from manifests.overlays import OVERLAYS, ROOT, parse, render


@pytest.mark.parametrize("version", ["1.34", "1.36"])
def test_rendered_objects_are_valid(version: str, kustomize: Path, kubeconform: Path, tmp_path: Path) -> None:
    for overlay in OVERLAYS:
        (tmp_path / f"{overlay}.yaml").write_text(render(kustomize, overlay))
    done = subprocess.run(
        [
            kubeconform,
            "-strict",
            "-summary",
            f"-kubernetes-version={version}.0",
            f"-schema-location={tools.schemas(version)}",
            tmp_path,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Skipped: 0" in done.stdout, done.stdout


def test_kubectl_renders_the_same_objects(overlay: str, kustomize: Path) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("no kubectl on PATH: install it to compare its own kustomize")
    done = subprocess.run(
        [kubectl, "kustomize", ROOT / "overlays" / overlay], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert list(parse(done.stdout)) == list(parse(render(kustomize, overlay)))
