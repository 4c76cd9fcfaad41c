"""A part is not the whole: what other parts of the repository hold, complete or replace."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.preflight.trees import write

from preflight.run import Options, run

pytestmark = pytest.mark.usefixtures("renders")

WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: example.org/web:1.0
        envFrom:
        - configMapRef:
            name: shared
"""
SHARED = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: shared}
data: {LOG_LEVEL: INFO}
"""


def said(root: Path, *targets: str) -> list[tuple[str, str]]:
    report = run([str(root / each) for each in targets], Options(skip=("schema",)))
    return [(each.rule, each.severity) for each in report.findings]


def test_what_another_part_holds_is_a_warning_that_names_the_file(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        f"=== web/kustomization.yaml\nnamespace: shop\nresources: [web.yaml]\n=== web/web.yaml\n{WEB}"
        f"=== shared/kustomization.yaml\nnamespace: shop\nresources: [config.yaml]\n"
        f"=== shared/config.yaml\n{SHARED}",
    )
    report = run([str(root / "web")], Options(skip=("schema",)))
    assert [(each.rule, each.severity) for each in report.findings] == [("missing-configmap", "warning")]
    assert "shared/config.yaml:1" in report.findings[0].message
    assert said(root, "web", "shared") == []


def test_another_namespace_or_a_fixture_holds_nothing_for_it(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        f"=== web/kustomization.yaml\nnamespace: shop\nresources: [web.yaml]\n=== web/web.yaml\n{WEB}"
        f"=== other/kustomization.yaml\nnamespace: other\nresources: [config.yaml]\n"
        f"=== other/config.yaml\n{SHARED}=== tests/config.yaml\n{SHARED}",
    )
    report = run([str(root / "web")], Options(skip=("schema",)))
    assert [each.severity for each in report.findings] == ["warning"]
    assert "config.yaml" not in report.findings[0].message
    assert said(root, "web", "other") == [("missing-configmap", "warning")]


GENERATED = """\
=== base/kustomization.yaml
namespace: shop
resources: [web.yaml]
=== base/web.yaml
%s=== test/kustomization.yaml
resources: []
=== overlays/one/kustomization.yaml
namespace: shop
resources: [../../base]
configMapGenerator: [{name: shared, literals: [LOG_LEVEL=INFO]}]
=== overlays/two/kustomization.yaml
namespace: shop
resources: [../../base]
configMapGenerator: [{name: flags, literals: [LOG_LEVEL=INFO]}]
"""


def test_a_base_that_an_overlay_completes_lacks_what_some_overlay_lacks(tmp_path: Path) -> None:
    root = write(tmp_path, GENERATED % WEB)
    assert said(root, "overlays/one") == []
    assert said(root, "overlays/two") == [("missing-configmap", "error")]


def test_alternatives_do_not_answer_each_other(tmp_path: Path) -> None:
    root = write(tmp_path, GENERATED % WEB)
    assert said(root, "overlays/one", "overlays/two") == [("missing-configmap", "error")]


def test_a_base_that_all_overlays_complete_lacks_nothing(tmp_path: Path) -> None:
    root = write(tmp_path, (GENERATED % WEB).replace("name: flags", "name: shared"))
    assert said(root, "base") == []


COMPONENT = """\
=== component/kustomization.yaml
kind: Component
patches:
- target: {kind: ConfigMap, name: one}
  patch: |-
    - {op: add, path: /data/X, value: "1"}
- target: {kind: ConfigMap, name: %s}
  patch: |-
    - {op: add, path: /data/X, value: "2"}
=== one/kustomization.yaml
resources: [config.yaml]
components: [../component]
=== one/config.yaml
apiVersion: v1
kind: ConfigMap
metadata: {name: one}
data: {A: b}
=== two/kustomization.yaml
resources: [config.yaml]
components: [../component]
=== two/config.yaml
apiVersion: v1
kind: ConfigMap
metadata: {name: two}
data: {A: b}
"""


def test_a_components_patch_for_another_overlay_is_no_fault(tmp_path: Path) -> None:
    root = write(tmp_path, COMPONENT % "two")
    assert said(root, "one") == said(root, "two") == said(root, "component") == []


def test_a_components_patch_for_nobody_is_one(tmp_path: Path) -> None:
    root = write(tmp_path, COMPONENT % "three")
    assert said(root, "one") == [("edit-matches-nothing", "error")]


def test_a_name_two_edits_away_or_known_elsewhere_is_no_error(tmp_path: Path) -> None:
    config = SHARED.replace("name: shared", "name: %s")
    kustomization = "namespace: shop\nresources: [web.yaml, config.yaml]"
    tree = f"=== all/kustomization.yaml\n{kustomization}\n=== all/web.yaml\n{WEB}"
    root = write(tmp_path, f"{tree}=== all/config.yaml\n{config % 'share'}")
    assert said(root, "all") == [("missing-configmap", "error")]
    root = write(tmp_path, f"{tree}=== all/config.yaml\n{config % 'shrad'}")
    assert said(root, "all") == [("missing-configmap", "warning")]
    elsewhere = "=== other/config.yaml\n" + (config % "shared").replace("}\ndata", ", namespace: x}\ndata")
    root = write(tmp_path, f"{tree}=== all/config.yaml\n{config % 'share'}{elsewhere}")
    assert said(root, "all") == [("missing-configmap", "warning")]


def test_a_slip_is_seen_across_what_is_given_together(tmp_path: Path) -> None:
    config = SHARED.replace("name: shared", "name: share")
    root = write(
        tmp_path,
        f"=== web/kustomization.yaml\nnamespace: shop\nresources: [web.yaml]\n=== web/web.yaml\n{WEB}"
        f"=== config/kustomization.yaml\nnamespace: shop\nresources: [config.yaml]\n"
        f"=== config/config.yaml\n{config}",
    )
    assert said(root, "web", "config") == [("missing-configmap", "error")]
    assert said(root, "web") == [("missing-configmap", "warning")]
