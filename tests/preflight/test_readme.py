"""The manual's examples are what it says they are, and its tables hold what there is."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

import preflight
from preflight.rules.registry import rules
from preflight.rules.retired import RETIRED
from preflight.run import Options, run

FOLDER = Path(preflight.__file__).parent
MANUAL = (FOLDER / "README.md").read_text()
FILES = re.compile(r"```\w+\n# (\S+\.\w+|Dockerfile)\n(.*?)```", re.S)
SECTIONS = {
    title: dict(FILES.findall(text))
    for title, text in re.findall(r"^### (.*?)\n(.*?)(?=^##)", MANUAL, re.M | re.S)
}
NEEDS = {"FastAPI and pydantic-settings": "fastapi", "Django": "django", "celery": "celery"}
EXPECTED = re.compile(r"# (?:error|warning)\[([\w-]+)\]")


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / ".git").mkdir()
    (root / "shop").mkdir(exist_ok=True)
    (root / "shop" / "__init__.py").touch()


@pytest.mark.parametrize("title", SECTIONS)
def test_an_example_gives_the_findings_beside_its_lines(title: str, tmp_path: Path) -> None:
    package = NEEDS.get(title)
    if package is not None and importlib.util.find_spec(package) is None:
        pytest.skip(
            f"{package} is not installed: uv run --with {package} pytest tests/preflight/test_readme.py"
        )
    write(tmp_path, SECTIONS[title])
    [manifest] = [name for name in SECTIONS[title] if name.endswith(".yaml")]
    expected = {
        (number, rule)
        for number, line in enumerate(SECTIONS[title][manifest].splitlines(), 1)
        for rule in EXPECTED.findall(line)
    }
    report = run([str(tmp_path / manifest)], Options(skip=("schema",)))
    assert {(finding.line, finding.rule) for finding in report.findings} == expected
    assert expected


def test_the_rule_in_the_manual_works(tmp_path: Path) -> None:
    [(name, source)] = [each for each in FILES.findall(MANUAL) if each[0].startswith("house/")]
    spec = "spec: {containers: [{name: web, image: web:1.2}]}"
    pod = f"apiVersion: v1\nkind: Pod\nmetadata: {{name: web}}\n{spec}\n"
    module = name.removesuffix(".py").replace("/", ".")
    config = f'[tool.preflight]\nrules = ["{module}"]\n'
    write(tmp_path, {name: source, "pyproject.toml": config, "web.yaml": pod})
    [finding] = run([str(tmp_path / "web.yaml")], Options(only=("house",))).findings
    assert finding.message == "Pod/web has no label example.com/owner"


def test_every_rule_and_every_rule_that_was_is_in_the_table() -> None:
    text = (FOLDER / "RULES.md").read_text()
    listed = {*re.findall(r"^\| ([a-z0-9-]+) \|", text, re.M)} - {"rule"}
    assert listed == {*RETIRED, *(rule.id for rule in rules())}
