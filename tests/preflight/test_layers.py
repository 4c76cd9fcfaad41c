"""Imports run downhill only, and preflight knows nothing of the applications it stands beside."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import preflight

PACKAGE = Path(preflight.__file__).parent
LAYERS = (
    {"findings", "spelling"},
    {"documents"},
    {"repository", "cluster"},
    {"render"},
    {"model"},
    {"facts"},
    {"rules"},
    {"packs"},
    {"reporting"},
    {"run"},
    {"graph"},
    {"cli"},
)
FACE = ("__init__", "__main__")


def imports(file: Path) -> Iterator[str]:
    """What a file imports of its own package and beside it, imports inside functions included."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_imports_run_downhill_only() -> None:
    height = {name: level for level, names in enumerate(LAYERS) for name in names}
    uphill = []
    for file in PACKAGE.rglob("*.py"):
        own = file.relative_to(PACKAGE).with_suffix("").parts[0]
        for name in imports(file) if own not in FACE else ():
            root, *path = name.split(".")
            assert root != "vhm", f"{file} imports {name}"
            if root == "preflight" and path and path[0] != own and height[path[0]] >= height[own]:
                uphill.append(f"{file.relative_to(PACKAGE)} imports {name}")
    assert uphill == []


def test_nothing_imports_in_a_circle() -> None:
    modules = {
        file: ".".join(("preflight", *file.relative_to(PACKAGE).with_suffix("").parts))
        for file in PACKAGE.rglob("*.py")
    }
    names = {name.removesuffix(".__init__") for name in modules.values()}
    needs = {
        name.removesuffix(".__init__"): {
            module
            for imported in imports(file)
            for module in (imported, imported.rpartition(".")[0])
            if module in names and module != name
        }
        for file, name in modules.items()
        if file.stem not in FACE
    }
    while needs:
        free = {name for name, wanted in needs.items() if not wanted & needs.keys()}
        assert free, f"a circle among {sorted(needs)}"
        needs = {name: wanted for name, wanted in needs.items() if name not in free}
