"""Where things are written: the real overlays, absent fields, edits and what they matched."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.preflight.render.trace.test_trace import made
from tests.preflight.trees import lines_hold, tree, untraced

from preflight.cluster.objects import Obj
from preflight.findings import Place
from preflight.render.load import Loaded, load

ROOT = Path(__file__).parents[3]
KUSTOMIZATIONS = [
    "base",
    *sorted(f"overlays/{path.parent.name}" for path in ROOT.glob("overlays/*/kustomization.yaml")),
]

pytestmark = pytest.mark.usefixtures("renders")


@pytest.mark.parametrize("target", KUSTOMIZATIONS)
def test_every_scalar_of_our_own_render_has_the_line_that_wrote_it(target: str) -> None:
    loaded = load(str(ROOT / target), ROOT)
    assert loaded.objects
    assert untraced(loaded) == []
    assert lines_hold(loaded, ROOT) == []


def find(loaded: Loaded, kind: str, name: str) -> Obj:
    return next(each for each in loaded.objects if each.kind == kind and each.name.startswith(name))


def line(root: Path, file: str, text: str) -> int:
    """The only line of a file that holds a text."""
    (number,) = [n for n, each in enumerate((root / file).read_text().splitlines(), 1) if text in each]
    return number


def test_the_last_writer_is_named(tmp_path: Path) -> None:
    loaded = tree(tmp_path, made(["generators", "strategic", "images", "replicas", "labels"]))
    settings, app = find(loaded, "ConfigMap", "settings"), find(loaded, "Deployment", "app")
    container = ("spec", "template", "spec", "containers", 0)
    overlay = "overlay/kustomization.yaml"
    assert settings.where("data", "A") == Place(overlay, line(tmp_path, overlay, "A=over"))
    assert settings.where("data", "B") == Place("base/settings.env", 4)
    assert app.where(*container, "env", 1, "value") == Place("overlay/patch.yaml", 17)
    assert app.where(*container, "env", 2, "valueFrom", "secretKeyRef", "name") == Place("base/app.yaml", 22)
    assert app.where("spec", "replicas") == Place(overlay, line(tmp_path, overlay, "count: 3"))
    assert app.where("metadata", "labels", "team") == Place(overlay, line(tmp_path, overlay, "team: a"))
    image = app.where("spec", "template", "spec", "containers", 1, "image")
    assert image == Place(overlay, line(tmp_path, overlay, "newTag: '2.0'"))


def test_what_is_absent_is_reported_where_it_would_stand(tmp_path: Path) -> None:
    loaded = tree(tmp_path, made([]))
    app = find(loaded, "Deployment", "app")
    container = ("spec", "template", "spec", "containers", 1)
    assert app.where(*container, "resources", "limits", "memory") == Place("base/app.yaml", 30)
    assert app.where(*container) == Place("base/app.yaml", 30)
    assert app.where("spec", "strategy", "type") == Place("base/app.yaml", 5)
    assert app.where("status") == app.origin == Place("base/app.yaml", 1)


def test_edits_tell_what_they_matched_and_what_they_missed(tmp_path: Path) -> None:
    files = made([]).replace(
        "=== overlay/kustomization.yaml\n",
        """\
=== overlay/kustomization.yaml
images:
- name: busybux
  newTag: "2"
- name: bus(y+)+box
  newTag: "3"
replacements:
- sourceValue: x
  targets:
  - select: {kind: Deployment, name: ap}
    fieldPaths: [metadata.name]
patches:
- target: {kind: Deployment, name: app-typo}
  patch: |-
    - {op: add, path: /spec/paused, value: true}
configMapGenerator:
- name: settings
  behavior: merge
  literals: [A=2, AA=3]
""",
    )
    loaded = tree(tmp_path, files)
    assert loaded.tree is not None
    edits = {each.field: each for each in loaded.tree.edits if each.file == "overlay/kustomization.yaml"}
    assert edits["images[0]"].matched == []
    assert edits["images[0]"].place.line == 2
    assert not edits["images[1]"].followed
    assert [str(each.place) for each in edits["replacements[0]"].missed] == ["overlay/kustomization.yaml:9"]
    assert [each.what for each in edits["patches[0]"].missed] == ["target Deployment/app-typo"]
    assert [(each.what, each.place.line) for each in edits["configMapGenerator[0]"].missed] == [
        ("key AA", 18)
    ]
