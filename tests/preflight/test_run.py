"""What a repository chooses for itself: rules left out, severities, rules of its own, rules that are gone."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.preflight.trees import write

from preflight.findings import CheckError
from preflight.reporting.baseline import write as write_baseline
from preflight.rules import retired
from preflight.run import Options, run

SHOP = """\
=== service.yaml
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
=== pyproject.toml
[tool.preflight]
"""
OWN = """\
=== apps/house/rules.py
from preflight.rules.registry import at, rule

@rule("owner-missing", family="house", severity="warning", outcome="applies nothing")
def owner_missing(model):
    \"\"\"An object without an owner.

        labels: {owner: shop}
    \"\"\"
    for obj in model.objects:
        if "owner" not in obj.labels:
            yield at(obj, "metadata", "labels", message="nobody owns it", fix="name an owner")

@rule("always-fails", family="house", severity="error", outcome="applies nothing")
def always_fails(model):
    \"\"\"A rule with a fault.

        labels: {}
    \"\"\"
    yield {}["a value nobody may see"]
"""
RULE = "selects-nothing"


def found(root: Path, config: str, **options: object) -> dict[str, str]:
    """Severity by rule, of the shop with this configuration."""
    write(root, SHOP + config + OWN)
    service = str(root / "service.yaml")
    return {each.rule: each.severity for each in run([service], Options(**options)).findings}


def test_a_rule_or_family_is_left_out(tmp_path: Path) -> None:
    assert found(tmp_path, "")[RULE] == "error"
    assert RULE not in found(tmp_path, f'skip = ["{RULE}"]\n')
    assert RULE not in found(tmp_path, 'skip = ["references"]\n')


def test_a_severity_is_the_repositorys(tmp_path: Path) -> None:
    assert found(tmp_path, f'severity = {{{RULE} = "warning"}}\n')[RULE] == "warning"


@pytest.mark.parametrize("config", ['skip = ["selects-nothin"]', 'severity = {selects-nothin = "error"}'])
def test_a_name_that_is_none_is_refused(tmp_path: Path, config: str) -> None:
    with pytest.raises(
        CheckError, match=f"no rule or family has the name 'selects-nothin': did you mean {RULE}"
    ):
        found(tmp_path, config + "\n")


def test_own_rules_apply_and_a_crash_is_a_finding_of_its_own(tmp_path: Path) -> None:
    rules = found(tmp_path, 'rules = ["house.rules"]\n')
    assert rules["owner-missing"] == "warning"
    assert rules[RULE] == "error"
    report = run([str(tmp_path / "service.yaml")])
    [crash] = [each for each in report.findings if each.rule == "rule-crashed"]
    assert report.crashed
    assert crash.message.endswith(
        "always-fails failed on " + str(tmp_path / "service.yaml") + ": KeyError in rules.py:19"
    )


def test_own_rules_that_do_not_import_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(CheckError, match=r"rules: nothing\.here cannot be imported: ModuleNotFoundError"):
        found(tmp_path, 'rules = ["nothing.here"]\n')


GONE = "service-without-pods"


def test_the_name_of_a_rule_that_is_gone_stands_for_the_one_that_reports_its_fault_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(retired.RETIRED, GONE, RULE)
    assert RULE in found(tmp_path, "", only=(GONE,))
    assert RULE not in found(tmp_path, f'skip = ["{GONE}"]\n')
    assert found(tmp_path, f'severity = {{{GONE} = "warning"}}\n')[RULE] == "warning"
    report = run([str(tmp_path / "service.yaml")], Options(skip=(GONE,)))
    gone = f"the rule {GONE} is gone: {RULE} reports it now and is skipped, with all else that it reports"
    assert gone in report.notes


def test_a_suppression_and_a_baseline_of_a_rule_that_is_gone_stay_valid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert RULE in found(tmp_path, "")
    service, baseline = tmp_path / "service.yaml", tmp_path / "baseline.json"
    baseline.write_bytes(write_baseline(run([str(service)]).findings).replace(RULE.encode(), GONE.encode()))
    monkeypatch.setitem(retired.RETIRED, GONE, RULE)
    report = run([str(service)], Options(baseline=baseline))
    assert (report.findings, report.baselined > 0) == ((), True)
    assert f"{baseline}: names rules that are gone; --write-baseline renews it" in report.notes

    [finding] = [each for each in run([str(service)]).findings if each.rule == RULE]
    lines = service.read_text().splitlines()
    lines[finding.line - 1] += f"  # preflight: ignore[{GONE}] no pods yet"
    service.write_text("\n".join(lines) + "\n")
    report = run([str(service)])
    assert {each.rule for each in report.findings} & {RULE, "suppression-unused"} == set()
    assert f"the rule {GONE} is gone: {RULE} reports it now" in report.notes


def test_what_many_objects_say_of_one_line_is_said_once(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        """\
=== kustomization.yaml
resources: [pods.yaml]
images:
- {name: web, newName: WEB}
=== pods.yaml
apiVersion: v1
kind: Pod
metadata: {name: one}
spec: {containers: [{name: web, image: "web:1"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: two}
spec: {containers: [{name: web, image: "web:1"}]}
""",
    )
    [finding] = [each for each in run([str(root)]).findings if each.rule == "image-name-invalid"]
    assert (finding.object, finding.count, finding.file) == ("Pod/one", 2, "kustomization.yaml")
    assert finding.targets == (str(root),)


def test_own_code_can_be_left_alone(tmp_path: Path) -> None:
    config = 'rules = ["house.rules"]\n[tool.preflight.containers.web]\nsettings = "nothing_here:Settings"\n'
    assert "owner-missing" not in found(tmp_path, config, own_code=False)


def test_a_tag_command_that_fails_is_said_in_one_line(tmp_path: Path) -> None:
    declared = """\
=== Dockerfile
FROM scratch
=== pyproject.toml
[tool.preflight.containers.web]
dockerfile = "Dockerfile"
tag = ["python3", "nowhere.py"]
"""
    root = write(tmp_path, SHOP.replace("=== pyproject.toml\n[tool.preflight]\n", declared))
    with pytest.raises(CheckError, match=r"^[^\n]*tag = \['python3', 'nowhere.py'\][^\n]*$"):
        run([str(root / "service.yaml")])
