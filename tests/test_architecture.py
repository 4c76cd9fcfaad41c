"""Every file and every name that apps/vhm/README.md speaks of exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
VHM = ROOT / "apps/vhm"
FOLDERS = (VHM, ROOT, VHM / "indexer")
"""Paths there are relative to one of these; what a worker's folder holds is said of all of them."""

TEXT = (VHM / "README.md").read_text()
SOURCE = "\n".join(path.read_text() for path in VHM.rglob("*.py"))

FILES = sorted(set(re.findall(r"[\w./-]+\.(?:py|toml|md)\b|\b[\w/]+/(?=[\s`)])", TEXT)))
NAMES = sorted(set(re.findall(r"\b(?:[A-Z][a-z]+){2,}\b|(?<=`)[a-z_]+(?=`)", TEXT)) - {"ConfigMap"})


@pytest.mark.parametrize("name", FILES)
def test_the_file_exists(name: str) -> None:
    assert any((folder / name).exists() for folder in FOLDERS)


@pytest.mark.parametrize("name", NAMES)
def test_the_name_exists(name: str) -> None:
    assert re.search(rf"\b{name}\b", SOURCE)
