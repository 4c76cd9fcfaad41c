"""Every file of tests/preflight/cases holds what preflight says of it, in the lines it says it of.

`cases/RULE/FAULT.yaml` is a small repository: what stands before the first `=== PATH` is all.yaml, each
such line starts another file. A line that ends with `# error[RULE]: OUTCOME` (or `warning`) has that
finding; where a language knows no comment at a line's end, the comment is the line before. All other lines
have none. `before.yaml` is what is installed when the rest is applied. `ok-*.yaml` beside a fault are
neighbours that must give nothing.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.preflight.trees import write

import preflight
from preflight.findings import Finding
from preflight.repository.config import load_config
from preflight.run import Options, findings_of, model_of

CASES = Path(__file__).parent / "cases"
FILES = sorted(CASES.glob("*/*.yaml"))
EXPECTED = re.compile(r"# (error|warning)\[([a-z0-9-]+)\]: (.+)$")


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_case_gives_what_its_lines_say(
    file: Path, tmp_path: Path, kustomize: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(kustomize.parent), prepend=":")
    root = repository_of(file, tmp_path)
    found = {(each.file, each.line, each.severity, each.rule, each.outcome) for each in findings_on(root)}
    expected = expected_in(root)
    assert found == expected
    assert bool(expected) != file.name.startswith("ok-")


def repository_of(file: Path, folder: Path) -> Path:
    """The files of a case, written below a folder, which is returned."""
    text = file.read_text()
    if "=== pyproject.toml" not in text:
        text += "\n=== pyproject.toml\n[tool.preflight]"
    return write(folder, f"=== all.yaml\n{text}")


def target_in(root: Path) -> Path:
    """What is applied of a case's repository."""
    return root if (root / "kustomization.yaml").exists() else root / "all.yaml"


def expected_in(root: Path) -> set[tuple[str, int, str, str, str]]:
    """What the comments of a case's repository say: file, line, severity, rule, outcome."""
    return {
        (path.relative_to(root).as_posix(), number + (match.start() == 0), match[1], match[2], match[3])
        for path in root.rglob("*")
        if path.is_file() and ".git" not in path.parts
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if (match := EXPECTED.search(line))
    }


def findings_on(root: Path) -> Sequence[Finding]:
    """What preflight says of a case's repository, upgrades included where it holds what is installed."""
    target = target_in(root)
    if not (root / "before.yaml").exists():
        return preflight.check(target, Options(skip=("not-in-schema",)))
    config = load_config(root)
    model = model_of(str(target), root=root, config=config)
    model.before = model_of(str(root / "before.yaml"), root=root, config=config)
    return findings_of(model, skip=("not-in-schema",))


@functools.cache
def rules_with_a_case() -> frozenset[str]:
    """The rules that a case of this folder proves."""
    return frozenset(
        match[2]
        for file in FILES
        for line in file.read_text().splitlines()
        if (match := EXPECTED.search(line))
    )


def test_a_rule_has_a_fault_and_a_good_neighbour() -> None:
    folders = {folder.name: [file.name for file in folder.glob("*.yaml")] for folder in CASES.iterdir()}
    alone = [rule for rule, names in folders.items() if not any(name.startswith("ok-") for name in names)]
    assert sorted(alone) == []
    assert sorted(folders.keys() - rules_with_a_case()) == []
