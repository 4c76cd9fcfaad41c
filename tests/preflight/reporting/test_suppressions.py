"""Findings silenced on purpose, and findings accepted for now."""

from __future__ import annotations

from pathlib import Path

import pytest

from preflight.findings import CheckError, Finding
from preflight.reporting.baseline import entry, read, subtract, write
from preflight.reporting.excerpts import Sources
from preflight.reporting.suppressions import UNREASONED, UNUSED, Suppression, apply, find

KNOWN = {"image-not-pinned", "no-probe", UNUSED, UNREASONED}


def finding(
    line: int, file: str = "web.yaml", rule: str = "image-not-pinned", message: str = "no"
) -> Finding:
    return Finding(
        rule=rule,
        severity="error",
        object="Deployment/web",
        field="spec",
        file=file,
        line=line,
        message=message,
        outcome="runs old code",
        fix="do",
    )


def silenced(root: Path, text: str, *findings: Finding, file: str = "web.yaml", ran: set[str] = KNOWN):
    """What is left of findings on a file of this text: (rule, line) each, and how many were silenced."""
    (root / file).write_text(text)
    left, count = apply(findings, find([file], Sources(root), []), ran, KNOWN)
    return [(each.rule, each.line) for each in left], count


def test_a_comment_behind_a_value_silences_its_line(tmp_path: Path) -> None:
    text = "a: 1\nimage: web:latest # preflight: ignore[image-not-pinned] a demonstration\n"
    assert silenced(tmp_path, text, finding(2)) == ([], 1)
    assert silenced(tmp_path, text, finding(1), finding(2)) == ([("image-not-pinned", 1)], 1)


def test_a_comment_on_its_own_line_silences_the_next_that_is_no_comment(tmp_path: Path) -> None:
    text = "# preflight: ignore[image-not-pinned, no-probe] a demonstration\n# more\nimage: web:latest\n"
    assert silenced(tmp_path, text, finding(3), finding(3, rule="no-probe")) == ([], 2)


def test_in_an_env_file_a_comment_behind_a_value_is_part_of_the_value(tmp_path: Path) -> None:
    behind = "A=1 # preflight: ignore[image-not-pinned] why\n"
    alone = "# preflight: ignore[image-not-pinned] why\nA=1\n"
    assert silenced(tmp_path, behind, finding(1, "a.env"), file="a.env") == ([("image-not-pinned", 1)], 0)
    assert silenced(tmp_path, alone, finding(2, "a.env"), file="a.env") == ([], 1)


def test_without_a_reason_nothing_is_silenced_and_that_is_said(tmp_path: Path) -> None:
    left, count = silenced(tmp_path, "image: x # preflight: ignore[image-not-pinned]\n", finding(1))
    assert left == [("image-not-pinned", 1), (UNREASONED, 1)]
    assert count == 0


def test_one_that_silences_nothing_is_a_finding(tmp_path: Path) -> None:
    text = "a: 1 # preflight: ignore[no-probe] it was so once\n"
    assert silenced(tmp_path, text) == ([(UNUSED, 1)], 0)
    assert silenced(tmp_path, text, ran=KNOWN - {"no-probe"}) == ([], 0), (
        "a rule that was left out shows nothing"
    )


def test_a_misspelt_rule_is_named(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text("a: 1 # preflight: ignore[no-prob] why\n")
    [said], _ = apply([], find(["web.yaml"], Sources(tmp_path), []), KNOWN, KNOWN)
    assert said.message == "no rule has the name 'no-prob'"
    assert said.fix == "write no-probe"


def test_an_annotation_silences_its_object_wherever_the_line_is() -> None:
    place = finding(9).place
    one = Suppression(rule="image-not-pinned", reason="why", place=place, object="Deployment/web")
    assert one.silences(finding(40, "elsewhere.yaml"))
    assert not one.silences(finding(40, rule="no-probe"))


def test_a_baseline_holds_findings_whatever_their_line(tmp_path: Path) -> None:
    file = tmp_path / "baseline.json"
    file.write_bytes(write([finding(3), finding(8)]))
    held = read(file)
    assert subtract([finding(30), finding(80)], held) == ([], 0)
    assert subtract([finding(3), finding(3), finding(3)], held) == ([finding(3)], 0), (
        "two were accepted, not three"
    )
    new = finding(3, message="another")
    assert subtract([new], held) == ([new], 2)
    assert entry(finding(1)) == entry(finding(2))


@pytest.mark.parametrize(
    ("content", "said"), [(None, "No such file"), (b"{", "not a baseline"), (b"\xff", "not a")]
)
def test_a_baseline_that_cannot_be_read_is_one_line(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "baseline.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(CheckError, match=said) as caught:
        read(file)
    assert "\n" not in str(caught.value)
