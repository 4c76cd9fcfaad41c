"""What a folder means as a target, and files that lie outside their kustomization's folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.preflight.trees import write

from preflight.findings import CheckError
from preflight.render.checkout import Checkout
from preflight.render.targets import expand
from preflight.repository.config import Config
from preflight.run import Options, run

CONFIG = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: %s}
data: {A: b}
"""
TREE = f"""\
=== base/kustomization.yaml
resources: [config.yaml]
=== base/config.yaml
{CONFIG % "base"}
=== overlays/one/kustomization.yaml
resources: [../../base]
components: [../../part]
=== part/kustomization.yaml
kind: Component
commonAnnotations: {{part: a}}
=== plain/config.yaml
{CONFIG % "plain"}
=== plain/compose.yaml
services: {{}}
=== other/values.yaml
replicas: 1
=== tests/kustomization.yaml
resources: [config.yaml]
=== skipped/kustomization.yaml
resources: [config.yaml]
"""


def expanded(root: Path, target: str) -> list[str]:
    checkout = Checkout(root, Config(exclude=("skipped",)))
    return [str(Path(each).relative_to(root)) for each in expand([str(root / target)], checkout)]


def test_a_folder_means_the_roots_and_the_loose_manifests_below_it(tmp_path: Path) -> None:
    root = write(tmp_path, TREE)
    assert expanded(root, ".") == ["overlays/one", "plain"]
    assert expanded(root, "overlays") == ["overlays/one"]


def test_a_folder_with_a_kustomization_means_that(tmp_path: Path) -> None:
    root = write(tmp_path, TREE)
    assert expanded(root, "base") == ["base"]
    assert expanded(root, "part") == ["part"]


@pytest.mark.usefixtures("renders")
def test_a_root_that_cannot_be_built_keeps_no_other_from_being_checked(tmp_path: Path) -> None:
    config = '=== pyproject.toml\n[tool.preflight]\nexclude = ["skipped"]\n'
    root = write(tmp_path, TREE + config + "=== bad/kustomization.yaml\nresources: [gone.yaml]\n")
    report = run([str(root)], Options(skip=("schema",)))
    assert [each for each in report.failures if "gone.yaml" not in each] == []
    assert len(report.failures) == 1
    assert report.objects == 2


OUTSIDE = f"""\
=== app/kustomization.yaml
resources: [../shared/config.yaml]
=== shared/config.yaml
{CONFIG % "shared"}
"""


@pytest.mark.usefixtures("renders")
def test_a_file_outside_its_kustomization_is_read_and_noted(tmp_path: Path) -> None:
    report = run([str(write(tmp_path, OUTSIDE) / "app")], Options(skip=("schema",)))
    assert report.objects == 1
    assert [
        each for each in report.notes if each.startswith("app/kustomization.yaml:1:") and "kubectl" in each
    ]


@pytest.mark.usefixtures("renders")
def test_nothing_outside_the_repository_is_read_by_links_either(tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text(CONFIG % "secret")
    (tmp_path / "repository").mkdir()
    root = write(tmp_path / "repository", OUTSIDE)
    (root / "shared" / "config.yaml").unlink()
    (root / "shared" / "config.yaml").symlink_to(tmp_path / "secret.yaml")
    with pytest.raises(CheckError, match="outside the repository"):
        run([str(root / "app")], Options(skip=("schema",)))
    (root / "app" / "kustomization.yaml").unlink()
    (root / "app" / "kustomization.yaml").symlink_to(tmp_path / "secret.yaml")
    with pytest.raises(CheckError, match="outside the repository"):
        run([str(root / "app")], Options(skip=("schema",)))


@pytest.mark.parametrize(
    "template",
    [
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ name }}}\n",
        '#@ load("@ytt:data", "data")\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: 1}\n',
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: service_name}\n",
    ],
)
def test_a_template_in_a_folder_is_left_out_with_a_note(tmp_path: Path, template: str) -> None:
    root = write(tmp_path, f"=== all/config.yaml\n{CONFIG % 'one'}=== all/template.yaml\n{template}")
    report = run([str(root / "all")], Options(skip=("schema",)))
    assert report.objects == 1
    assert [each for each in report.notes if "all/template.yaml" in each]
