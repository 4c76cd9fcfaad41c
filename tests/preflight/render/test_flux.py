"""What Flux's Kustomizations of a repository apply, and with which variables."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.preflight.trees import write

import preflight
from preflight.findings import Finding
from preflight.render.checkout import Checkout
from preflight.render.flux import FluxKustomization, flux_kustomizations
from preflight.repository.config import Config
from preflight.run import Options

pytestmark = pytest.mark.usefixtures("renders")

PARENT = """\
=== clusters/home/apps.yaml
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: apps, namespace: flux-system}
spec:
  path: ./apps
  sourceRef: {kind: GitRepository, name: home}
  patches:
  - patch: |-
      apiVersion: kustomize.toolkit.fluxcd.io/v1
      kind: Kustomization
      metadata: {name: _}
      spec:
        postBuild:
          substituteFrom:
          - {kind: ConfigMap, name: settings}
          - {kind: Secret, name: secrets}
    target: {group: kustomize.toolkit.fluxcd.io, kind: Kustomization}
=== clusters/home/settings.yaml
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: flux-system}
data: {DOMAIN: example.org, ZONE: home}
=== apps/kustomization.yaml
resources: [photos.yaml]
=== apps/photos.yaml
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: photos, namespace: flux-system}
spec:
  path: ./photos
  sourceRef: {kind: GitRepository, name: home}
  postBuild: {substitute: {APP: photos, ZONE: attic}}
=== photos/kustomization.yaml
resources: [all.yaml]
"""
SECRETS = """\
=== clusters/home/secrets.yaml
apiVersion: v1
kind: Secret
metadata: {name: secrets, namespace: flux-system}
stringData: {TOKEN: "ENC[AES256_GCM,data:abc,type:str]"}
sops: {mac: "ENC[AES256_GCM,data:x,type:str]", version: 3.9.0}
"""
CONFIG = """\
=== photos/all.yaml
apiVersion: v1
kind: ConfigMap
metadata: {name: "${APP}"}
data:
  url: https://${APP}.${DOMAIN}
  token: ${TOKEN}
"""


def photos(root: Path) -> FluxKustomization:
    found = flux_kustomizations(Checkout(root, Config()))
    return next(each for each in found if each.name == "photos")


def check(root: Path, folder: str) -> list[Finding]:
    return preflight.check(root / folder, Options(skip=("schema",)))


def test_a_parent_gives_its_children_sources_and_their_own_values_win(tmp_path: Path) -> None:
    root = write(tmp_path, PARENT + SECRETS + CONFIG)
    variables = photos(root).variables
    assert variables == {"DOMAIN": "example.org", "ZONE": "attic", "APP": "photos", "TOKEN": None}
    assert photos(root).complete
    assert check(root, "photos") == []


def test_a_source_that_is_not_here_leaves_a_doubt(tmp_path: Path) -> None:
    root = write(tmp_path, PARENT + CONFIG.replace("TOKEN", "OTHER"))
    assert not photos(root).complete
    assert check(root, "photos") == []


def test_a_variable_that_no_source_has_is_an_error_where_all_are_here(tmp_path: Path) -> None:
    root = write(tmp_path, PARENT + SECRETS + CONFIG.replace("${TOKEN}", "${OTHER}"))
    assert [(each.rule, each.severity, each.line) for each in check(root, "photos")] == [
        ("flux-variable-not-set", "error", 6)
    ]


SCRIPT = """\
=== photos/all.yaml
apiVersion: v1
kind: ConfigMap
metadata: {name: scripts%s}
data:
  run.sh: |
    for file in /data/*; do
      cp "${file}" /backup
    done
"""


def test_a_scripts_own_variable_is_a_warning_where_a_source_is_not_here(tmp_path: Path) -> None:
    root = write(tmp_path, PARENT + SCRIPT % "")
    assert [(each.rule, each.severity, each.line) for each in check(root, "photos")] == [
        ("flux-variable-not-set", "warning", 7)
    ]


def test_nothing_is_substituted_where_the_object_says_so(tmp_path: Path) -> None:
    disabled = ', annotations: {"kustomize.toolkit.fluxcd.io/substitute": disabled}'
    root = write(tmp_path, PARENT + SECRETS + SCRIPT % disabled)
    assert check(root, "photos") == []


def test_without_a_variable_nothing_is_substituted_unless_always(tmp_path: Path) -> None:
    flux = """\
=== cluster.yaml
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: photos, namespace: flux-system}
spec:
  path: ./photos
  postBuild: {%s}
=== photos/kustomization.yaml
resources: [all.yaml]
"""
    root = write(tmp_path, flux % "substitute: {}" + SCRIPT % "")
    assert check(root, "photos") == []
    root = write(tmp_path, flux % "substituteStrategy: Always" + SCRIPT % "")
    assert [each.rule for each in check(root, "photos")] == ["flux-variable-not-set"]


def test_a_given_value_is_checked_as_it_will_be(tmp_path: Path) -> None:
    service = """\
=== photos/all.yaml
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: "${APP}"}}
  template:
    metadata: {labels: {app: "${APP}"}}
    spec: {containers: [{name: web, image: "example.org/web:1.0"}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""
    root = write(tmp_path, PARENT + SECRETS + service)
    assert [each.rule for each in check(root, "photos")] == ["selects-nothing"]
    root = write(
        tmp_path, PARENT + SECRETS + service.replace("selector: {app: web}", "selector: {app: photos}")
    )
    assert check(root, "photos") == []
