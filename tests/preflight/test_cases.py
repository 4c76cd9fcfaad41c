"""Every file of tests/preflight/cases holds what preflight says of it, in the lines it says it of.

`cases/RULE/FAULT.yaml` is a small repository: what stands before the first `=== PATH` is all.yaml, each such
line starts another file. A line that ends with `# error[RULE]: OUTCOME` (or `warning`) has that finding, all
other lines have none. `ok-*.yaml` beside it are neighbours that must give nothing.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.preflight.trees import write

import preflight
from preflight.run import Options

CASES = Path(__file__).parent / "cases"
FILES = sorted(CASES.glob("*/*.yaml"))
EXPECTED = re.compile(r"# (error|warning)\[([a-z0-9-]+)\]: (.+)$")


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_case_gives_what_its_lines_say(
    file: Path, tmp_path: Path, kustomize: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(kustomize.parent), prepend=":")
    text = file.read_text()
    if "=== pyproject.toml" not in text:
        text += "\n=== pyproject.toml\n[tool.preflight]"
    root = write(tmp_path, f"=== all.yaml\n{text}")
    target = root if (root / "kustomization.yaml").exists() else root / "all.yaml"
    findings = preflight.check(target, Options(skip=("schema",)))
    found = {(each.file, each.line, each.severity, each.rule, each.outcome) for each in findings}
    expected = {
        (path.relative_to(root).as_posix(), number, match[1], match[2], match[3])
        for path in root.rglob("*")
        if path.is_file() and ".git" not in path.parts
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if (match := EXPECTED.search(line))
    }
    assert found == expected
    assert bool(expected) != file.name.startswith("ok-")


def rules_with_a_case() -> set[str]:
    """The rules that a case of this folder proves."""
    return {
        match[2]
        for file in FILES
        for line in file.read_text().splitlines()
        if (match := EXPECTED.search(line))
    }


@pytest.mark.parametrize("folder", sorted(CASES.iterdir()), ids=lambda folder: folder.name)
def test_a_rule_has_a_fault_and_a_good_neighbour(folder: Path) -> None:
    names = [file.name for file in folder.glob("*.yaml")]
    assert any(name.startswith("ok-") for name in names)
    assert folder.name in rules_with_a_case()
