"""What preflight says of a class and an environment is what pydantic-settings itself says."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import yaml
from tests.preflight.repository.settings_environments import ENVIRONMENTS, Environment

from preflight.findings import Finding
from preflight.run import Options, run

pytest.importorskip("pydantic_settings", reason="pydantic-settings is in the dev group: uv sync")

FILES, SECRETS = "/etc/shop", "/run/secrets/shop"
ASK = """
import importlib, json, os, sys
import pydantic_settings
sys.dont_write_bytecode = True
for case in json.load(sys.stdin):
    if os.fork() == 0:
        os.environ.clear()
        os.environ.update(case["variables"])
        sys.path.insert(0, case["folder"])
        try:
            importlib.import_module("settings_of_case").Settings()
            refusal = ""
        except Exception as error:
            refusal = type(error).__name__
        os.write(1, json.dumps({case["id"]: refusal}).encode() + b"\\n")
        os._exit(0)
    os.wait()
"""


def objects(case: Environment) -> list[dict[str, Any]]:
    """A Deployment that takes the environment, with its ConfigMaps and its Secret."""
    meta = {"namespace": "shop"}
    container = {
        "name": case.id,
        "image": "example.org/shop/web:1.4.2",
        "envFrom": [{"configMapRef": {"name": case.id}}],
        "volumeMounts": [
            {"name": "files", "mountPath": FILES},
            {"name": "secrets", "mountPath": SECRETS, "readOnly": True},
        ],
    }
    volumes = [
        {"name": "files", "configMap": {"name": f"{case.id}-files"}},
        {"name": "secrets", "secret": {"secretName": case.id}},
    ]
    template = {
        "metadata": {"labels": {"app": case.id}},
        "spec": {"containers": [container], "volumes": volumes},
    }
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": case.id, **meta},
            "spec": {"selector": {"matchLabels": {"app": case.id}}, "template": template},
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": case.id, **meta},
            "data": case.variables,
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": f"{case.id}-files", **meta},
            "data": case.files,
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": case.id, **meta},
            "stringData": case.secrets,
        },
    ]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Finding]]:
    """What the rules of the environment say, by case; all cases are one render."""
    root = tmp_path_factory.mktemp("shop")
    (root / "src").mkdir()
    tables = ["[tool.preflight]"]
    for case in ENVIRONMENTS:
        module = "case_" + case.id.replace("-", "_")
        text = case.module.replace("{files}", FILES).replace("{secrets}", SECRETS)
        (root / "src" / f"{module}.py").write_text(text)
        tables += [f"[tool.preflight.containers.{case.id}]", f'settings = "{module}:Settings"']
    (root / "pyproject.toml").write_text("\n".join(tables) + "\n")
    (root / "all.yaml").write_text(
        yaml.safe_dump_all(each for case in ENVIRONMENTS for each in objects(case))
    )
    report = run([str(root / "all.yaml")], Options(only=("environment",)))
    by_case: dict[str, list[Finding]] = {case.id: [] for case in ENVIRONMENTS}
    for finding in report.findings:
        name = finding.container or finding.object.partition("/")[2].removesuffix("-files")
        by_case.setdefault(name, []).append(finding)
    assert by_case.keys() == {case.id for case in ENVIRONMENTS}, by_case
    return by_case


@pytest.fixture(scope="module")
def refusals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What pydantic-settings raises, by case; empty where it makes the settings."""
    asked = []
    for case in ENVIRONMENTS:
        folder = tmp_path_factory.mktemp(case.id)
        for name, files in (("files", case.files), ("secrets", case.secrets)):
            (folder / name).mkdir()
            for file, text in files.items():
                (folder / name / file).write_text(text)
        text = case.module.replace("{files}", f"{folder}/files").replace("{secrets}", f"{folder}/secrets")
        (folder / "settings_of_case.py").write_text(text)
        asked.append({"id": case.id, "variables": case.variables, "folder": str(folder)})
    done = subprocess.run(
        [sys.executable, "-c", ASK], input=json.dumps(asked), capture_output=True, text=True, check=True
    )
    return {name: said for line in done.stdout.splitlines() for name, said in json.loads(line).items()}


@pytest.mark.parametrize("case", ENVIRONMENTS, ids=lambda case: case.id)
def test_the_class_itself_answers(
    case: Environment, found: dict[str, list[Finding]], refusals: dict[str, str]
) -> None:
    refused = refusals[case.id]
    findings = [each for each in found[case.id] if each.rule != "variable-unread"]
    errors = [each for each in findings if each.severity == "error"]
    assert bool(refused) == bool(errors), f"pydantic: {refused or 'fine'}; preflight: {findings}"
    assert bool(refused) == bool(case.blamed), "the case itself is wrong about what pydantic says"
    words = " ".join(each.message + each.fix for each in errors)
    assert [name for name in case.blamed if name not in words] == []
    assert refused or findings == []
    unread = [each for each in found[case.id] if each.rule == "variable-unread"]
    assert sorted(each.field.removeprefix("data.") for each in unread) == sorted(case.unread)


def test_an_error_points_at_the_value_it_is_about(found: dict[str, list[Finding]]) -> None:
    [wrong] = found["nested-wrong"]
    assert (wrong.object, wrong.field) == ("ConfigMap/nested-wrong", "data.STORE__PORT")
    [wrong] = found["json-file-wrong"]
    assert (wrong.object, wrong.field) == ("ConfigMap/json-file-wrong-files", "data[settings.json]")
    [missing] = found["one-string-missing"]
    assert missing.field == "spec.template.spec.containers[0].envFrom[0]"
