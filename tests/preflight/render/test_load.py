"""What a target may be, and how the unreadable ends: one line, nothing fetched, nothing read outside."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.preflight.trees import tree, write

from preflight.findings import CheckError, Place
from preflight.render.load import load

pytestmark = pytest.mark.usefixtures("renders")

POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: i}]}\n"


def refused(root: Path, target: str = "overlay") -> str:
    with pytest.raises(CheckError) as caught:
        load(str(root / target), root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_rendered_file_a_folder_and_standard_input(tmp_path: Path) -> None:
    write(
        tmp_path,
        f"=== m/a.yaml\n# first\n---\n{POD}---\n{POD.replace('p}', 'q}')}=== m/notes.yaml\nnot: ours",
    )
    (file,) = [load(str(tmp_path / "m/a.yaml"), tmp_path)]
    assert [(each.ref, each.origin.line) for each in file.objects] == [("Pod/p", 3), ("Pod/q", 8)]
    assert file.objects[1].where("spec", "containers", 0, "image") == Place("m/a.yaml", 11)
    folder = load(str(tmp_path / "m"), tmp_path)
    assert [each.ref for each in folder.objects] == ["Pod/p", "Pod/q"]
    piped = load("-", tmp_path, stdin=POD.encode())
    assert piped.objects[0].where("spec", "containers", 0, "image") == Place("-", 4)
    assert load("-", tmp_path, stdin=b"").objects == []


def test_lists_names_to_be_generated_and_unknown_kinds(tmp_path: Path) -> None:
    text = (
        "apiVersion: v1\nkind: List\nitems:\n"
        "- apiVersion: batch/v1\n  kind: Job\n  metadata: {generateName: j-}\n"
        "- apiVersion: x.example.org/v1\n  kind: Widget\n  metadata: {name: w}\n"
    )
    objects = load("-", tmp_path, stdin=text.encode()).objects
    assert [each.ref for each in objects] == ["Job/j-", "Widget/w"]


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("absent", "no such file or folder"),
        ("empty", "neither a kustomization nor manifests"),
        ("values.yaml", "holds no Kubernetes object"),
        ("bad.yaml", "bad.yaml:2: not YAML"),
        ("binary.yaml", "a control character"),
    ],
)
def test_what_is_no_manifest_ends_in_one_line(tmp_path: Path, target: str, line: str) -> None:
    write(
        tmp_path,
        "=== empty/readme.md\n=== values.yaml\na: 1\n=== bad.yaml\na: b\n  c: d\n=== binary.yaml\n\x00",
    )
    assert line in refused(tmp_path, target)


REMOTE = [
    "https://example.org/x.yaml",
    "github.com/org/repo//dir?ref=v1",
    "git@github.com:org/repo.git",
    "git::https://example.org/repo.git//x",
    "ssh://git@example.org/repo",
    "file:///etc",
    "example.org/repo.git//dir",
]


@pytest.mark.parametrize("entry", REMOTE)
@pytest.mark.parametrize("field", ["resources", "components", "bases", "transformers", "generators"])
def test_remote_entries_are_refused_before_rendering(tmp_path: Path, entry: str, field: str) -> None:
    write(tmp_path, f"=== overlay/kustomization.yaml\n{field}:\n- {entry!r}")
    message = refused(tmp_path)
    assert message.startswith("overlay/kustomization.yaml:2: ")
    assert "--allow-remote" in message


@pytest.mark.parametrize(
    "entries",
    [
        "configMapGenerator:\n- name: c\n  files: [URL]\n",
        "configMapGenerator:\n- name: c\n  envs: [URL]\n",
        "patches:\n- path: URL\n",
        "patchesStrategicMerge: [URL]\n",
        "replacements:\n- path: URL\n",
        "generators:\n- |\n  apiVersion: builtin\n  kind: ConfigMapGenerator\n"
        "  metadata: {name: x}\n  files: [URL]\n",
        "generators: [g.yaml]\n=== overlay/g.yaml\n"
        "apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {name: x}\nenvs: [URL]\n",
        "openapi: {path: URL}\n",
        "crds: [URL]\n",
        "configurations: [URL]\n",
    ],
)
def test_no_entry_of_any_kind_reaches_a_network(tmp_path: Path, entries: str, listener: list[str]) -> None:
    write(tmp_path, f"=== overlay/kustomization.yaml\n{entries.replace('URL', listener[0])}")
    refused(tmp_path)
    assert listener[1:] == []


@pytest.fixture
def listener() -> Iterator[list[str]]:
    """A server on loopback: its address, then each request that reached it."""
    seen: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        seen.append(f"http://127.0.0.1:{server.server_port}/x.yaml")
        yield seen
        server.shutdown()
        thread.join()


def test_helm_is_refused_with_a_way_out(tmp_path: Path) -> None:
    write(tmp_path, "=== overlay/kustomization.yaml\nhelmCharts:\n- name: x\n  repo: y")
    assert "helm template" in refused(tmp_path)


@pytest.mark.parametrize(
    "entries",
    [
        "resources: [../../outside]",
        "resources: [../../outside/pod.yaml]",
        "configMapGenerator:\n- name: c\n  files: [../../outside/pod.yaml]",
        "resources: [link]",
        "configMapGenerator:\n- name: c\n  files: [link/pod.yaml]",
        "patches:\n- path: /etc/hostname",
    ],
)
def test_nothing_outside_the_repository_is_read(tmp_path: Path, entries: str) -> None:
    root = tmp_path / "repo"
    root.mkdir()
    write(root, f"=== overlay/kustomization.yaml\n{entries}")
    write(tmp_path, f"=== outside/kustomization.yaml\nresources: [pod.yaml]\n=== outside/pod.yaml\n{POD}")
    (root / "overlay/link").symlink_to(tmp_path / "outside")
    assert "lies outside the repository" in refused(root)


def test_cycles_and_broken_files_end_in_one_line(tmp_path: Path) -> None:
    write(
        tmp_path,
        "=== overlay/kustomization.yaml\nresources: [../b]\n"
        "=== b/kustomization.yaml\nresources: [../overlay]",
    )
    assert "in a cycle" in refused(tmp_path)
    write(tmp_path, "=== overlay/kustomization.yaml\nresources: [x.yaml]\n=== overlay/x.yaml\na: [")
    assert refused(tmp_path).startswith("overlay/x.yaml:")
    write(tmp_path, "=== overlay/kustomization.yaml\nresources: [gone.yaml]")
    assert "kustomize refuses it" in refused(tmp_path)


@pytest.mark.parametrize(
    ("bound", "value", "line"),
    [
        ("MOST_MEMORY", 40 << 20, "wanted more than"),
        ("MOST_OUTPUT", 50, "file too large"),
        ("TIMEOUT_SECONDS", 0.001, "did not end within"),
    ],
)
def test_kustomize_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str, value: float, line: str
) -> None:
    write(tmp_path, f"=== overlay/kustomization.yaml\nresources: [p.yaml]\n=== overlay/p.yaml\n{POD}")
    monkeypatch.setattr(f"preflight.render.kustomize.{bound}", value)
    assert line in refused(tmp_path)


def test_what_is_too_large_ends_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, f"=== many.yaml\n{'---'.join([chr(10) + POD] * 5)}")
    with (tmp_path / "large.yaml").open("wb") as large:
        large.truncate(50_000_000)
    assert "50 MB, more than 33 are not read" in refused(tmp_path, "large.yaml")
    monkeypatch.setattr("preflight.render.load.MOST_OBJECTS", 3)
    assert "more than 3 objects" in refused(tmp_path, "many.yaml")


def test_nothing_is_written_into_the_repository(tmp_path: Path) -> None:
    tree(tmp_path, f"=== overlay/kustomization.yaml\nresources: [p.yaml]\n=== overlay/p.yaml\n{POD}")
    assert sorted(each.name for each in (tmp_path / "overlay").iterdir()) == ["kustomization.yaml", "p.yaml"]


def test_a_component_alone_and_a_kustomization_named_by_its_file(tmp_path: Path) -> None:
    files = f"=== c/kustomization.yaml\nkind: Component\nresources: [p.yaml]\n=== c/p.yaml\n{POD}"
    assert [each.ref for each in tree(tmp_path, files, "c").objects] == ["Pod/p"]
    assert [each.ref for each in tree(tmp_path, files, "c/kustomization.yaml").objects] == ["Pod/p"]


def test_objects_of_a_plugin_have_the_origin_kustomize_names(tmp_path: Path) -> None:
    loaded = tree(
        tmp_path,
        "=== overlay/kustomization.yaml\nresources: [p.yaml]\ngenerators: [g.yaml]\ntransformers: [t.yaml]\n"
        f"=== overlay/p.yaml\n{POD}"
        "=== overlay/g.yaml\n"
        "apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {name: made}\nliterals: [a=b]\n"
        "=== overlay/t.yaml\napiVersion: builtin\nkind: PrefixTransformer\nmetadata: {name: t}\nprefix: x-\n"
        "fieldSpecs: [{path: metadata/name}]\n",
    )
    origins = {each.kind: str(each.origin) for each in loaded.objects}
    assert origins == {"Pod": "overlay/p.yaml:1", "ConfigMap": "overlay/g.yaml:1"}


def test_an_annotation_with_kustomizes_own_name_is_no_fault(tmp_path: Path) -> None:
    files = (
        "=== overlay/kustomization.yaml\nresources: [p.yaml]\n"
        f"commonAnnotations: {{config.kubernetes.io/origin: by-hand}}\n=== overlay/p.yaml\n{POD}"
    )
    assert [str(each.origin) for each in tree(tmp_path, files).objects] == ["overlay/p.yaml:1"]


def test_a_key_written_twice_is_named_where_kustomize_only_refuses_it(tmp_path: Path) -> None:
    files = (
        "=== overlay/kustomization.yaml\nresources: [c.yaml]\n"
        "=== overlay/c.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"
        "data:\n  LOG_LEVEL: info\n  LOG_LEVEL: debug\n"
    )
    with pytest.raises(CheckError, match=r"^overlay/c\.yaml:6: LOG_LEVEL is written twice[^\n]*$"):
        tree(tmp_path, files)
