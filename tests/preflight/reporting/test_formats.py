"""What a report looks like to people, to programs, to code scanning and in a pull request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from preflight.findings import Finding
from preflight.reporting.formats import WRITERS
from preflight.reporting.report import Report
from preflight.reporting.sarif import fingerprint
from preflight.reporting.text import text, wants_colour
from preflight.rules.registry import rules

MANIFEST = """\
kind: Deployment
spec:
  template:
    spec:
      containers:
      - name: web
        image: web:latest   # the newest
        env:
        - name: API_KEY
          value: "sk-verysecret"
\ttabbed: "a # b"
"""


def finding(**changes: Any) -> Finding:
    """A finding on line 7 of web.yaml, with changes."""
    fields = {
        "rule": "image-not-pinned",
        "severity": "warning",
        "object": "Deployment/web",
        "container": "web",
        "field": "spec.template.spec.containers[0].image",
        "file": "web.yaml",
        "line": 7,
        "message": "web:latest is whatever was pushed last",
        "outcome": "runs old code",
        "fix": "name a version",
    }
    return Finding(**(fields | changes))


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A report over web.yaml with the findings given."""
    (tmp_path / "web.yaml").write_text(MANIFEST)
    monkeypatch.chdir(tmp_path)

    def make(*findings: Finding, **more: Any) -> Report:
        return Report(root=tmp_path, targets=(".",), findings=findings, objects=3, rules=9, **more)

    return make


def test_text_shows_the_line_with_a_caret_under_the_value(report: Any) -> None:
    assert text(report(finding()), colour=False) == (
        "web.yaml:7:16: warning[image-not-pinned] web:latest is whatever was pushed last\n"
        "   |       - name: web\n"
        " 7 |         image: web:latest   # the newest\n"
        "   |                ^^^^^^^^^^ runs old code: Deployment/web, container web\n"
        "   = fix: name a version\n"
        "\n"
        "Found 1 warning (3 objects, 9 rules)\n"
    )


def test_text_underlines_the_whole_line_for_what_is_absent_there(report: Any) -> None:
    shown = text(
        report(finding(line=6, field="spec.template.spec.containers[0].livenessProbe")), colour=False
    )
    assert " 6 |       - name: web\n   |         ^^^^^^^^^ runs old code" in shown


def test_text_without_a_source_line_still_says_all(report: Any) -> None:
    shown = text(report(finding(file="-", line=40)), colour=False)
    assert shown.startswith(
        "-:40: warning[image-not-pinned] web:latest is whatever was pushed last\n"
        "    = runs old code: Deployment/web, container web\n"
        "    = fix: name a version\n"
    )


def test_text_names_files_so_that_they_open_from_here(
    report: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    assert text(report(finding()), colour=False).startswith("../web.yaml:7:16: ")
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert text(report(finding()), colour=False).startswith(f"{tmp_path}/web.yaml:7:16: ")


def test_text_counts_what_was_silenced_and_repeats_notes(report: Any) -> None:
    silent = report(suppressed=2, baselined=1, notes=("old.json holds 1 too many",))
    assert text(silent, colour=False) == (
        "note: old.json holds 1 too many\n"
        "Nothing found (3 objects, 9 rules; 2 suppressed; 1 in the baseline)\n"
    )
    both = text(report(finding(), finding(severity="error"), finding(severity="error")), colour=False)
    assert both.endswith("Found 2 errors and 1 warning (3 objects, 9 rules)\n")


def test_colour_only_adds_escape_codes(report: Any) -> None:
    import re

    shown = text(report(finding()), colour=True)
    assert "\x1b[1;33mwarning[image-not-pinned]\x1b[0m" in shown
    assert re.sub(r"\x1b\[[0-9;]*m", "", shown) == text(report(finding()), colour=False)


@pytest.mark.parametrize(
    ("environment", "colour"),
    [({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)],
)
def test_colour_follows_the_environment(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], colour: bool
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert wants_colour() is colour


@pytest.mark.parametrize("format", list(WRITERS))
def test_no_format_shows_a_secret(report: Any, format: Any) -> None:
    found = finding(rule="secret-in-env", line=10, field="spec.template.spec.containers[0].env[0].value")
    shown = WRITERS[format](report(found))
    assert "verysecret" not in shown
    assert "secret-in-env" in shown


def test_the_value_of_a_variable_with_a_secrets_name_is_hidden_whatever_is_wrong_with_it(report: Any) -> None:
    found = finding(rule="value-is-odd", line=10, field="spec.template.spec.containers[0].env[0].value")
    assert "verysecret" not in text(report(found), colour=False)


def test_the_value_in_a_secret_object_is_hidden_and_its_name_is_not(report: Any, tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text(
        "kind: Secret\nmetadata:\n  name: keys\nstringData:\n  plain: open-sesame\n"
    )
    value = finding(object="Secret/keys", file="secret.yaml", line=5, field="stringData.plain")
    name = finding(object="Secret/keys", file="secret.yaml", line=3, field="metadata.name")
    assert "open-sesame" not in text(report(value), colour=False)
    assert "plain: ***" in text(report(value), colour=False)
    assert "name: keys" in text(report(name), colour=False)


def test_a_finding_outside_the_repository_shows_nothing_of_the_file(report: Any, tmp_path: Path) -> None:
    shown = text(report(finding(file="../../etc/passwd", line=1)), colour=False)
    assert "root:" not in shown


def test_env_files_and_quoted_values(report: Any, tmp_path: Path) -> None:
    (tmp_path / "app.env").write_text("# settings\nPORT=80a # not a comment\n")
    shown = text(report(finding(file="app.env", line=2, field="data.PORT")), colour=False)
    assert " 2 | PORT=80a # not a comment\n   |      ^^^^^^^^^^^^^^^^^^^ " in shown
    assert '"a # b"' in text(report(finding(line=11, field="x.tabbed")), colour=False)


def test_json_is_the_list_of_findings(report: Any) -> None:
    whole = json.loads(WRITERS["json"](report(finding(), finding(container=""))))
    assert whole[0] == {
        "rule": "image-not-pinned",
        "severity": "warning",
        "object": "Deployment/web",
        "container": "web",
        "field": "spec.template.spec.containers[0].image",
        "file": "web.yaml",
        "line": 7,
        "message": "web:latest is whatever was pushed last",
        "outcome": "runs old code",
        "fix": "name a version",
        "count": 1,
        "targets": [],
    }
    assert json.loads(WRITERS["json"](report())) == []


def test_github_annotations_escape_what_would_end_them(report: Any) -> None:
    shown = WRITERS["github"](report(finding(message="50% off:\nnow", file="a,b.yaml")))
    first, last = shown.splitlines()
    assert first == (
        "::warning file=a%2Cb.yaml,line=7,title=image-not-pinned::50%25 off:%0Anow → runs old code "
        "(Deployment/web, container web)%0Afix: name a version"
    )
    assert last == "Found 1 warning (3 objects, 9 rules)"


def test_sarif_has_what_code_scanning_requires(report: Any) -> None:
    id = rules()[0].id
    log = json.loads(WRITERS["sarif"](report(finding(rule=id), finding(rule=id, line=6, severity="error"))))
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-schema-2.1.0.json")
    [run] = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "preflight"
    [described] = driver["rules"]
    assert described["id"] == id
    assert described["shortDescription"]["text"]
    assert described["help"]["text"]
    first, second = run["results"]
    assert [result["level"] for result in (first, second)] == ["warning", "error"]
    assert {result["ruleId"] for result in (first, second)} == {id}
    assert {result["ruleIndex"] for result in (first, second)} == {0}
    place = first["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "web.yaml", "uriBaseId": "SRCROOT"}
    assert place["region"] == {"startLine": 7, "startColumn": 16, "endColumn": 26}
    assert first["message"]["text"]
    assert len(first["partialFingerprints"]["preflight/v1"]) == 32


def test_a_fingerprint_survives_a_moved_line_and_nothing_else() -> None:
    assert fingerprint(finding()) == fingerprint(finding(line=70))
    assert fingerprint(finding()) != fingerprint(finding(object="Deployment/other"))
