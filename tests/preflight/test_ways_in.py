"""The hook and the action that other repositories use."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.preflight.trees import write

ROOT = Path(__file__).resolve().parents[2]
BAD = """\
=== two words.yaml
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: wep}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {containers: [{name: web, image: "web:1.2.3"}]}
=== good.yaml
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
data: {colour: red}
"""


@pytest.fixture
def action() -> dict[str, Any]:
    """The composite action."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / ".github/actions/preflight/action.yml").read_text())
    return loaded


def check(action: dict[str, Any], folder: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """The action's check step in a folder, its inputs put where the runner puts them."""
    step = action["runs"]["steps"][-1]
    given = {name: str(each.get("default", "")) for name, each in action["inputs"].items()}
    given |= {name.replace("_", "-"): value for name, value in inputs.items()}
    environment = {
        name: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda match: given[match[1]], value)
        for name, value in step["env"].items()
    }
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=folder, env={**os.environ, **environment, "PATH": path}, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip


def test_the_action_annotates_and_fails_on_an_error(action: dict[str, Any], tmp_path: Path) -> None:
    folder = write(tmp_path, BAD)
    done = check(action, folder, paths="two words.yaml\n", sarif="found.sarif")
    assert done.returncode == 1, done.stderr
    assert re.search(r"^::error file=two words\.yaml,line=4,title=selects-nothing::", done.stdout, re.M)
    log = json.loads((folder / "found.sarif").read_text())
    assert log["runs"][0]["results"]


def test_the_action_passes_a_good_manifest_and_fails_when_it_cannot_look(
    action: dict[str, Any], tmp_path: Path
) -> None:
    folder = write(tmp_path, BAD)
    assert check(action, folder, paths="good.yaml").returncode == 0
    absent = check(action, folder, paths="nowhere", sarif="found.sarif")
    assert absent.returncode == 2
    assert "no such file" in absent.stderr


def test_the_action_runs_nothing_of_a_fork(action: dict[str, Any], tmp_path: Path) -> None:
    assert "head.repo.fork && 'false'" in action["inputs"]["own-code"]["default"]
    folder = write(tmp_path, BAD + '=== pyproject.toml\n[tool.preflight]\nrules = ["touches_a_file"]\n')
    write(folder, "=== touches_a_file.py\nopen('touched', 'w')\n")
    assert check(action, folder, paths="good.yaml", own_code="false").returncode == 0
    assert not (folder / "touched").exists()
    check(action, folder, paths="good.yaml", own_code="true")
    assert (folder / "touched").exists()


def test_no_input_becomes_part_of_a_script(action: dict[str, Any], tmp_path: Path) -> None:
    assert not any("${{" in step["run"] for step in action["runs"]["steps"])
    folder = write(tmp_path, BAD)
    check(action, folder, paths="good.yaml; touch made $(touch made)", baseline="`touch made`")
    assert not (folder / "made").exists()


def test_the_action_installs_preflight_alone(action: dict[str, Any]) -> None:
    install = action["runs"]["steps"][0]["run"]
    assert '"$GITHUB_ACTION_PATH/../../../apps/preflight[schemas]"' in install
    project = tomllib.loads((ROOT / "apps/preflight/pyproject.toml").read_text())["project"]
    assert "schemas" in project["optional-dependencies"]
    assert "preflight" in project["scripts"]


def test_the_hook_in_the_manual_runs_when_its_inputs_change() -> None:
    manual = (ROOT / "apps/preflight/README.md").read_text()
    [block] = [
        each for each in re.findall(r"```yaml\n(.*?)```", manual, re.S) if "additional_dependencies" in each
    ]
    [hook] = yaml.safe_load(block)["repos"][0]["hooks"]
    assert hook["entry"].startswith("preflight check")
    assert hook["pass_filenames"] is False
    assert hook["additional_dependencies"][0].endswith("#subdirectory=apps/preflight")
    for name in (
        "base/web/deployment.yaml",
        "overlays/a/app.env",
        "Dockerfile",
        "images/web.Dockerfile",
        "a.py",
    ):
        assert re.search(hook["files"], name), name
    assert not re.search(hook["files"], "README.md")
