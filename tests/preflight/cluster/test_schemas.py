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
