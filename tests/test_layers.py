"""Imports run downhill only: each package stands on what is named beside it, and on nothing else of vhm."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

VHM = Path(__file__).parents[1] / "apps/vhm"
WORKERS = ("indexer", "resonance", "reteller")
MODELS = {"contract", "memory", "provider_errors", "extras"}
UNDER_A_WORKER = {"contract", "memory", "runtime", "embedding", "language", "anchors", "embedding_handler"}

BELOW: dict[str, set[str]] = {
    "contract": set(),
    "errors": set(),
    "runtime": {"contract"},
    "memory": {"contract"},
    "provider_errors": {"contract"},
    "extras": {"contract"},
    "embedding": MODELS,
    "language": MODELS,
    "anchors": {"contract", "memory", "embedding"},
    "embedding_handler": {"contract", "runtime", "embedding", "anchors"},
    **dict.fromkeys(WORKERS, UNDER_A_WORKER),
    "local_state": {"errors"},
    "local": {*UNDER_A_WORKER, *WORKERS, "gateway", "client", "errors"},
    "client": {"contract", "runtime", "local_state", "anchors"},
    "gateway": {*UNDER_A_WORKER, "client", "version"},
    "client.local": {"client", "contract", "errors", "local"},
}
"""The command line (cli, commands) may import anything."""


def package(path: Path) -> str:
    if path == VHM / "client/local.py":  # stands above all workers, unlike the rest of its package
        return "client.local"
    return path.relative_to(VHM).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    """Packages of vhm that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.ImportFrom(module="vhm", names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module)) if module.startswith("vhm."):
                yield module.split(".")[1]
            case ast.Import(names=names):
                yield from (alias.name.split(".")[1] for alias in names if alias.name.startswith("vhm."))


@pytest.mark.parametrize("name", BELOW)
def test_a_package_imports_only_what_is_below_it(name: str) -> None:
    files = [path for path in VHM.rglob("*.py") if package(path) == name]
    found = {(path.name, other) for path in files for other in imported(path)}
    assert files
    assert {pair for pair in found if pair[1] not in BELOW[name] | {name}} == set()


def test_every_package_has_its_place() -> None:
    placed = BELOW.keys() | {"__init__", "__main__", "cli", "commands"}
    assert {package(path) for path in VHM.rglob("*.py")} <= placed
