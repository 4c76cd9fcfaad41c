"""What the tests of preflight share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from preflight.render.kustomize import find_program


@pytest.fixture(scope="session")
def renders(kustomize: Path) -> None:
    """The pinned kustomize is the one on PATH."""
    os.environ["PATH"] = f"{kustomize.parent}{os.pathsep}{os.environ['PATH']}"
    find_program.cache_clear()
