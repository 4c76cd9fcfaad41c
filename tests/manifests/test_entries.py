"""No entry of our own kustomizations is without effect: take one away, and the render is another."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from manifests.overlays import OVERLAYS

ROOT = Path(__file__).parents[2]
FIELDS = (
    "images",
    "patches",
    "replacements",
    "configMapGenerator",
    "secretGenerator",
    "labels",
    "components",
)


def kustomizations() -> list[Path]:
    found = [*ROOT.glob("base/**/kustomization.yaml"), *ROOT.glob("overlays/*/kustomization.yaml")]
    return sorted(path.relative_to(ROOT) for path in found)


def entries() -> Iterator[tuple[str, str, int]]:
    for path in kustomizations():
        read: dict[str, Any] = yaml.safe_load((ROOT / path).read_text())
        for field in FIELDS:
            for index in range(len(read.get(field) or ())):
                yield str(path), field, index


def render(kustomize: Path, root: Path, overlay: str) -> str | None:
    done = subprocess.run(
        [kustomize, "build", str(root / "overlays" / overlay)], capture_output=True, text=True, timeout=60
    )
    return done.stdout if done.returncode == 0 else None


@pytest.fixture(scope="module")
def whole(kustomize: Path) -> dict[str, str | None]:
    return {overlay: render(kustomize, ROOT, overlay) for overlay in OVERLAYS}


@pytest.mark.parametrize(("path", "field", "index"), list(entries()))
def test_an_entry_taken_away_changes_what_is_applied(
    path: str, field: str, index: int, whole: dict[str, str | None], kustomize: Path, tmp_path: Path
) -> None:
    for folder in ("base", "overlays"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    changed = yaml.safe_load((tmp_path / path).read_text())
    del changed[field][index]
    (tmp_path / path).write_text(yaml.safe_dump(changed))
    assert all(whole.values())
    of_its_own_first = sorted(OVERLAYS, key=lambda overlay: f"overlays/{overlay}/" not in path)
    assert any(render(kustomize, tmp_path, overlay) != whole[overlay] for overlay in of_its_own_first)
