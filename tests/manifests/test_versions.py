"""The kustomize inside kubectl, Argo CD and Flux renders the same objects as the one of tests/tools."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from manifests.overlays import ROOT, parse, render
from tools import cache
from tools.binaries import go

VERSIONS = ["v5.5.0", "v5.7.0", "v5.7.1"]
"""kubectl 1.32, Argo CD 3.2.0, Flux's kustomize-controller 1.7.2."""


def built(version: str) -> Path:
    folder = cache().parent / f"kustomize-{version}"
    if not (folder / "kustomize").exists():
        done = subprocess.run(
            [*go(), "install", f"sigs.k8s.io/kustomize/kustomize/v5@{version}"],
            env={**os.environ, "GOBIN": str(folder), "GOFLAGS": "", "CGO_ENABLED": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    return folder / "kustomize"


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("version", VERSIONS)
def test_all_versions_render_the_same(overlay: str, version: str, kustomize: Path) -> None:
    done = subprocess.run(
        [built(version), "build", ROOT / "overlays" / overlay], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert list(parse(done.stdout)) == list(parse(render(kustomize, overlay)))
