"""Every case of broken/ holds one fault and gives exactly the findings beside it; clean overlays none.

What needs this repository's own apps, images and base is here, the rest in cases/. A case is a folder with a
kustomization over the real base and `expected.json`: a list of `{"rule", "file", "mark", "outcome"}`. `file`
is one of the case's or of the repository's; `mark` is a text that stands on one line of it, or a list of
texts, each looked for after the one before. Further keys: `severity` (error, if not given), `container`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.preflight.test_cases import rules_with_a_case

from manifests.overlays import OVERLAYS, ROOT
from preflight.findings import Finding
from preflight.render.checkout import Checkout
from preflight.render.kustomize import find_program
from preflight.repository.app import Apps
from preflight.repository.config import load_config
from preflight.rules.registry import rules
from preflight.run import findings_of, model_of

BROKEN = ROOT / "tests" / "preflight" / "broken"
CASES = sorted(path.parent.name for path in BROKEN.glob("*/expected.json"))
UNPROVEN = (
    "not-in-schema",
    "refused-by-server",
    "rule-crashed",
    "suppression-unused",
    "suppression-without-reason",
)
"""Rules not proved by a case: two run other programs, the others are about the check itself."""


class Repository(msgspec.Struct):
    """What is known of this repository before a target of it is looked at."""

    apps: Apps
    checkout: Checkout


@pytest.fixture(scope="session")
def own(kustomize: Path) -> Iterator[Repository]:
    """This repository, asked once for all cases: its checkout passes over tests, so none changes it."""
    os.environ["PATH"] = f"{kustomize.parent}{os.pathsep}{os.environ['PATH']}"
    find_program.cache_clear()
    config = load_config(ROOT)
    with Apps(ROOT, config.containers) as apps:
        yield Repository(apps, Checkout(ROOT, config))


def findings(folder: Path, own: Repository) -> list[Finding]:
    """All findings on a folder, as `preflight check` would have them."""
    config = own.checkout.config
    model = model_of(str(folder), root=ROOT, config=config, apps=own.apps, checkout=own.checkout)
    # our own tree may be amid a change; that overlays name its tag is for test_image.py to say
    return findings_of(model, skip=("not-in-schema", "image-not-of-this-tree"))


@pytest.mark.parametrize("case", CASES)
def test_a_case_gives_exactly_its_findings(case: str, own: Repository) -> None:
    folder = BROKEN / case
    expected = json.loads((folder / "expected.json").read_text())
    found = [_shown(each) for each in findings(folder, own)]
    wanted = [_wanted(folder, each) for each in expected]
    assert sorted(map(_line, found)) == sorted(map(_line, wanted)), "\n".join(map(str, found))
    for each in wanted:
        assert any(each.items() <= other.items() for other in found), each


@pytest.mark.parametrize("folder", ["base", *(f"overlays/{name}" for name in OVERLAYS)])
def test_a_clean_overlay_gives_nothing(folder: str, own: Repository) -> None:
    assert findings(ROOT / folder, own) == []


def test_every_rule_has_a_case() -> None:
    proved = {
        each["rule"] for case in CASES for each in json.loads((BROKEN / case / "expected.json").read_text())
    }
    proved |= rules_with_a_case()
    known = {rule.id for rule in rules() if rule.id not in UNPROVEN}
    assert sorted(known - proved) == []
    assert sorted(proved - {rule.id for rule in rules()}) == []


def _shown(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "file": finding.file,
        "line": finding.line,
        "outcome": finding.outcome,
        "severity": finding.severity,
        "container": finding.container or None,
        "message": finding.message,
    }


def _wanted(folder: Path, expected: dict[str, Any]) -> dict[str, Any]:
    """What is expected with file and line as findings have them: relative to the root."""
    wanted = {"severity": "error", **expected}
    path = folder / wanted["file"] if (folder / wanted["file"]).exists() else ROOT / wanted["file"]
    wanted["file"] = path.relative_to(ROOT).as_posix()
    mark = wanted.pop("mark")
    wanted["line"] = _marked(path, [mark] if isinstance(mark, str) else mark)
    return wanted


def _marked(path: Path, marks: list[str]) -> int:
    """The line of the last mark; the first one is unique, each further one the next after the one before."""
    lines = path.read_text().splitlines()
    found = [number for number, line in enumerate(lines, 1) if marks[0] in line]
    assert len(found) == 1, f"{path}: {marks[0]!r} stands on {len(found)} lines, wanted on one"
    number = found[0]
    for mark in marks[1:]:
        number += next(step for step, line in enumerate(lines[number:], 1) if mark in line)
    return number


def _line(each: dict[str, Any]) -> str:
    return f"{each['file']}:{each['line']}: {each['severity']} {each['rule']}: {each['outcome']}"
