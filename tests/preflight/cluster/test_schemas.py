"""kubeconform's findings at the line of the field, and what is said where it is not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from preflight.cluster import schemas
from preflight.model import Model
from preflight.render.load import load
from preflight.repository.config import Config
from preflight.run import findings_of, run

MANIFEST = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: app
  labels: {size: 1}
spec:
  replicas: "3"
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      containers:
      - name: app
        image: example.org/app:1.0
        imagePullPolcy: Always
        ports:
        - containerPort: "80"
          nmae: http
---
apiVersion: example.org/v1
kind: Widget
metadata: {name: w}
"""


@pytest.fixture
def _checks(kubeconform: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{kubeconform.parent}{os.pathsep}{os.environ['PATH']}")


def found(text: str, version: str = "1.34") -> list[tuple[int, str, str]]:
    objects = load("-", Path("/"), stdin=text.encode()).objects
    config = Config(kubernetes_version=version)
    model = Model(root=Path("/"), config=config, target="-", objects=objects)
    return [(each.line, each.rule, each.field) for each in findings_of(model, only=("schema",))]


@pytest.mark.usefixtures("_checks")
def test_each_fault_is_at_its_own_line() -> None:
    assert found(MANIFEST) == [
        (5, "not-in-schema", "metadata.labels.size"),
        (7, "not-in-schema", "spec.replicas"),
        (15, "not-in-schema", "spec.template.spec.containers[0].imagePullPolcy"),
        (17, "not-in-schema", "spec.template.spec.containers[0].ports[0].containerPort"),
        (18, "not-in-schema", "spec.template.spec.containers[0].ports[0].nmae"),
    ]


def test_removed_versions_depend_on_the_target_version() -> None:
    budget = "apiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nmetadata: {name: b}\n"
    assert found(budget) == [(1, "removed-api-version", "apiVersion")]


def test_without_kubeconform_a_note_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    report = run([str(tmp_path / "m.yaml")])
    assert report.notes == ("not checked against schemas: kubeconform is not on PATH",)
    assert schemas.unavailable(34) == report.notes[0]


@pytest.mark.usefixtures("_checks")
@pytest.mark.parametrize(
    ("port", "severity"), [("PORT", "warning"), ("NODE_PORT", "warning"), ("http", "error")]
)
def test_a_word_to_fill_in_is_a_warning(port: str, severity: str) -> None:
    text = f"apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec: {{ports: [{{port: {port}}}]}}\n"
    objects = load("-", Path("/"), stdin=text.encode()).objects
    model = Model(root=Path("/"), config=Config(), target="-", objects=objects)
    assert [each.severity for each in findings_of(model, only=("schema",))] == [severity]


@pytest.mark.usefixtures("_checks")
@pytest.mark.parametrize(("labels", "severity"), [("{}", "warning"), ("{app: web}", "error")])
def test_a_part_of_a_workload_may_be_a_patch(labels: str, severity: str) -> None:
    text = f"""\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec: {{template: {{metadata: {{labels: {labels}}}, spec: {{containers: [{{name: web, image: "web:1"}}]}}}}}}
"""
    objects = load("-", Path("/"), stdin=text.encode()).objects
    model = Model(root=Path("/"), config=Config(), target="-", objects=objects)
    assert [each.severity for each in findings_of(model, only=("not-in-schema",))] == [severity]


@pytest.mark.usefixtures("_checks")
def test_what_the_server_sets_is_not_missing() -> None:
    text = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: web}
roleRef: {kind: Role, name: web}
subjects: [{kind: ServiceAccount, name: web}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec: {policyTypes: [Ingress]}
"""
    assert found(text) == []
    assert found(text.replace("kind: Role, ", "")) == [(4, "not-in-schema", "roleRef")]


@pytest.mark.usefixtures("_checks")
def test_null_is_absent() -> None:
    text = """\
apiVersion: v1
kind: Pod
metadata: {name: web}
spec: {containers: [{name: web, image: "web:1", resources: {limits: {cpu: null}}}]}
"""
    assert found(text) == []
    assert found(text.replace("null", "[]")) != []
