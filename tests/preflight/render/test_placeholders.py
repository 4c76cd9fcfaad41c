"""Values that are filled in or decrypted later: nothing is said about them, and their keys hold."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.preflight.trees import write

import preflight
from preflight.run import Options

SECRET = """\
apiVersion: v1
kind: Secret
metadata: {name: web, namespace: shop}
data: {TOKEN: "ENC[AES256_GCM,data:abc,iv:x,tag:y,type:str]"}
sops: {mac: "ENC[AES256_GCM,data:x,type:str]", version: 3.9.0}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop}
spec:
  containers:
  - name: web
    image: example.org/web:1.0
    env:
    - {name: TOKEN, valueFrom: {secretKeyRef: {name: web, key: %s}}}
"""


def rules(root: Path, target: str) -> list[tuple[str, str]]:
    return [(each.rule, each.severity) for each in preflight.check(root / target, Options())]


def test_an_encrypted_secret_has_its_keys_and_no_fault(tmp_path: Path) -> None:
    root = write(tmp_path, "=== all.yaml\n" + SECRET % "TOKEN")
    assert rules(root, "all.yaml") == []
    root = write(tmp_path, "=== all.yaml\n" + SECRET % "TOKEM")
    assert rules(root, "all.yaml") == [("missing-key", "error")]


@pytest.mark.parametrize("value", ["${NUMBER}", "{{ number }}", "<number>"])
def test_a_placeholder_is_no_wrong_value(
    tmp_path: Path, value: str, kubeconform: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(kubeconform.parent), prepend=os.pathsep)
    manifest = """\
=== all.yaml
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  clusterIP: None
  ports:
  - port: "%s"
"""
    root = write(tmp_path, manifest % value)
    assert [each for each in rules(root, "all.yaml") if each[1] == "error"] == []
    root = write(tmp_path, manifest % "eighty")
    assert ("not-in-schema", "error") in rules(root, "all.yaml")


def test_a_part_of_a_name_that_a_person_fills_in_is_no_wrong_name(tmp_path: Path) -> None:
    manifest = "=== all.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: shop}\n"
    assert rules(write(tmp_path, manifest % '"settings-<node-name>"'), "all.yaml") == []
    assert rules(write(tmp_path, manifest % '"settings-<"'), "all.yaml") == [("invalid-name", "error")]
