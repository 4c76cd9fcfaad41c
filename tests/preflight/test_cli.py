"""`preflight` as people call it: a process, its output, its exit code."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.preflight.trees import write

import preflight
from preflight.cli import main
from preflight.rules.registry import rules

GOOD = """\
=== good.yaml
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
data: {colour: red}
=== bad.yaml
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  selector: {app: wep}
  ports: [{port: 80}]
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec:
  containers:
  - {name: web, image: "web:1.2.3"}
"""
RULE = "selects-nothing"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A repository with a good manifest and a bad one."""
    return write(tmp_path, GOOD)


class Done(NamedTuple):
    """What one call came to."""

    returncode: int
    stdout: str
    stderr: str


Call = Callable[..., Done]


@pytest.fixture
def call(shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """The command, called in the shop's folder."""
    for name in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(shop)

    def run(*words: str, stdin: str = "") -> Done:
        monkeypatch.setattr(sys, "argv", ["preflight", *words])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return Done(int(ended.value.code or 0), out, err)

    return run


def test_as_a_process(shop: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "preflight", "check", "bad.yaml", "--rule", RULE],
        cwd=shop, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "")
    assert f"bad.yaml:5:13: error[{RULE}]" in done.stdout


def test_nothing_found_is_0_an_error_is_1(call: Call, shop: Path) -> None:
    good = call("check", "good.yaml")
    assert (good.returncode, good.stderr) == (0, "")
    assert "Nothing found (1 object, " in good.stdout, "perhaps after a note on what could not be checked"
    bad = call("check", "bad.yaml", "--rule", RULE)
    assert bad.returncode == 1
    assert f"bad.yaml:5:13: error[{RULE}]" in bad.stdout
    assert "\x1b" not in bad.stdout


def test_the_library_finds_the_same(call: Call, shop: Path) -> None:
    assert RULE in {finding.rule for finding in preflight.check(shop / "bad.yaml")}
    assert callable(preflight.check)


def test_standard_input(call: Call, shop: Path) -> None:
    said = call("check", "-", "--rule", RULE, "--format", "json", stdin=(shop / "bad.yaml").read_text())
    [found] = json.loads(said.stdout)
    assert (found["file"], found["line"], found["rule"]) == ("-", 5, RULE)


def test_where_it_is_called_from_changes_nothing(
    call: Call, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: one, namespace: shop}}\ndata: {{colour: {}}}\n"
    write(shop, f"=== all/a.yaml\n{text.format('red')}\n=== all/b.yaml\n{text.format('blue')}")
    found = []
    for folder in (shop, shop / "all", tmp_path.parent):
        monkeypatch.chdir(folder)
        target = os.path.relpath(shop / "all")
        found.append(json.loads(call("check", target, "--rule", "references", "--format", "json").stdout))
    assert found[0] == found[1] == found[2] == [], "two files of a folder may be alternatives"


def test_only_skip_and_families(call: Call, shop: Path) -> None:
    assert call("check", "bad.yaml", "--skip", RULE, "--rule", "references").returncode == 0
    assert call("check", "bad.yaml", "--rule", "references").returncode == 1


def test_warnings_fail_only_when_strict(call: Call, shop: Path) -> None:
    (shop / "good.yaml").write_text((shop / "good.yaml").read_text() + "# preflight: ignore[image] why\n")
    call_ = ("check", "good.yaml", "--rule", "suppressions")
    assert call(*call_).returncode == 0
    assert "warning[suppression-unused]" in call(*call_).stdout
    assert call(*call_, "--strict").returncode == 1


def test_a_suppressed_finding_is_counted_and_passed_over(call: Call, shop: Path) -> None:
    bad = shop / "bad.yaml"
    bad.write_text(
        bad.read_text().replace("{app: wep}", f"{{app: wep}}  # preflight: ignore[{RULE}] elsewhere")
    )
    said = call("check", "bad.yaml", "--rule", RULE, "--rule", "suppressions")
    assert (said.returncode, "1 suppressed" in said.stdout) == (0, True)


def test_an_annotation_suppresses_too(call: Call, shop: Path) -> None:
    bad = shop / "bad.yaml"
    note = f"{{name: web, namespace: shop, annotations: {{preflight.ignore/{RULE}: elsewhere}}}}"
    bad.write_text(bad.read_text().replace("{name: web, namespace: shop}", note, 1))
    said = call("check", "bad.yaml", "--rule", RULE, "--rule", "suppressions")
    assert (said.returncode, "1 suppressed" in said.stdout) == (0, True)


def test_a_baseline_accepts_what_is_there_and_nothing_new(call: Call, shop: Path) -> None:
    assert call("check", "bad.yaml", "--write-baseline", "known.json").returncode == 0
    said = call("check", "bad.yaml", "--baseline", "known.json")
    assert (said.returncode, "in the baseline" in said.stdout) == (0, True)
    bad = shop / "bad.yaml"
    bad.write_text(bad.read_text().replace("app: wep", "app: wap"))
    assert call("check", "bad.yaml", "--baseline", "known.json").returncode == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("check", "nowhere"), "preflight: nowhere: no such file or folder"),
        (("check", "bad.yaml", "--rule", "selects-nothin"), "did you mean selects-nothing?"),
        (("check", "bad.yaml", "--kubernetes-version", "yes"), "expected a version such as 1.34"),
        (("check", "bad.yaml", "--baseline", "none.json"), "none.json: No such file or directory"),
        (("check", "bad.yaml", "--against=-x"), "--against -x: no git revision"),
        (("check", "bad.yaml", "--against", "nobranch"), "--against nobranch:"),
        (("rules", "service-selects"), "no rule has the name 'service-selects'"),
        (("check", "-"), "standard input: holds no Kubernetes object"),
        (("check", "--bogus"), "unknown option --bogus"),
    ],
)
def test_what_cannot_be_looked_at_is_one_line_and_2(call: Call, words: tuple[str, ...], said: str) -> None:
    done = call(*words)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_declared_name_that_is_not_there_is_an_error_at_its_line(call: Call, shop: Path) -> None:
    (shop / "pyproject.toml").write_text(
        '[tool.preflight.containers.web]\nsettings = "nothing_here:Settings"\n'
    )
    done = call("check", "bad.yaml")
    assert done.returncode == 1
    assert "pyproject.toml:2:1: error[declared-name-not-found]" in done.stdout
    assert RULE in done.stdout, "the rest is checked all the same"


def test_help_says_whose_code_it_imports(call: Call, shop: Path) -> None:
    said = " ".join(call("check", "--help").stdout.split())
    assert "imports only the names in that repository's own pyproject.toml" in said
    assert "in a subprocess with a timeout" in said


def test_rules_are_listed_and_explained(call: Call, shop: Path) -> None:
    listed = call("rules").stdout
    assert all(f"  {rule.id} " in listed for rule in rules())
    page = call("rules", RULE).stdout
    assert page.startswith(f"{RULE} (references, warning; the cluster would say: applies nothing)")


def test_graph_prints_a_picture(call: Call, shop: Path) -> None:
    assert call("graph", "bad.yaml").stdout.startswith("flowchart LR\n")
    assert call("graph", "bad.yaml", "--format", "dot").stdout.startswith("digraph ")
