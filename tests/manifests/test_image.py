"""The overlays name the image of this very tree, and the image holds what pyproject.toml asks for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from manifests.overlays import ROOT, deployment

REQUIREMENTS = ROOT / "images/requirements.txt"


def run(*command: str, cwd: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_tag_is_that_of_the_tree(overlay: str, worker: str, kustomize: Path) -> None:
    image = deployment(kustomize, overlay, worker).container.image
    expected = run("images/build", "--tag").strip()
    assert image.partition("@")[0].rpartition(":")[2] == expected, (
        f"overlays/{overlay} would run old code: images/build --write {overlay}"
        f" (images/build {overlay} builds the image as well)"
    )


def test_the_requirements_are_those_of_pyproject(tmp_path: Path) -> None:
    if not (uv := shutil.which("uv")):
        pytest.skip("no uv on PATH: install it to export the requirements")
    options = re.search(r"^HOW = \((.*)\)$", (ROOT / "images/build").read_text(), re.MULTILINE)
    assert options
    anew = tmp_path / "requirements.txt"
    anew.write_text(REQUIREMENTS.read_text())
    how = re.findall(r'"([^"]+)"', options[1])
    run(uv, "pip", "compile", *how, "pyproject.toml", "--output-file", str(anew))
    assert anew.read_text() == REQUIREMENTS.read_text(), "run: images/build --requirements"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small repository laid out like this one."""
    for name in ("apps/vhm/a.py", "pyproject.toml", "images/requirements.txt", ".dockerignore"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    for name in ("images/build", "images/worker.Dockerfile", "overlays/minikube/kustomization.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    run("git", "init", "-q", ".", cwd=tmp_path)
    run("git", "add", "-A", cwd=tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("apps/vhm/a.py", True),
        ("pyproject.toml", True),
        ("images/requirements.txt", True),
        ("images/worker.Dockerfile", True),
        (".dockerignore", True),
        ("overlays/minikube/kustomization.yaml", False),
        ("apps/vhm/untracked.py", False),
    ],
)
def test_the_tag_tells_of_what_is_in_the_image(checkout: Path, name: str, counts: bool) -> None:
    before = run("images/build", "--tag", cwd=checkout)
    assert re.fullmatch(r"t[0-9a-f]{12}\n", before)
    path = checkout / name
    path.write_text((path.read_text() if path.exists() else "") + "\n# changed")
    assert (run("images/build", "--tag", cwd=checkout) != before) is counts


def test_the_tag_is_written_quoted_and_nothing_else_changes(checkout: Path) -> None:
    path = checkout / "overlays/minikube/kustomization.yaml"
    before = path.read_text()
    (checkout / "pyproject.toml").write_text("changed")
    run("images/build", "--write", "minikube", cwd=checkout)
    tag = run("images/build", "--tag", cwd=checkout).strip()
    assert path.read_text() == re.sub(r'newTag: "t\w+"', f'newTag: "{tag}"', before)
    run("images/build", "--write", "minikube", "--digest", "sha256:" + "0" * 64, cwd=checkout)
    assert "digest:" in path.read_text()
    run("images/build", "--write", "minikube", cwd=checkout)
    assert "digest:" not in path.read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--write", "nowhere"], "no overlay 'nowhere'; there are: minikube"),
        ([], "apps/vhm/stray.py is not in git"),
    ],
)
def test_what_cannot_be_done_is_one_line(checkout: Path, arguments: list[str], says: str) -> None:
    (checkout / "apps/vhm/stray.py").write_text("")
    done = subprocess.run(
        ["images/build", *arguments], cwd=checkout, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert says in done.stderr


def test_without_a_builder_it_says_what_to_install(checkout: Path, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("git", "python3", "env"):
        (tools / name).symlink_to(shutil.which(name) or name)
    done = subprocess.run(
        ["images/build", "minikube"],
        cwd=checkout,
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("images/build: nothing to build with: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("listed", "code"), [("localhost/vhm-worker:$tag", 0), ("docker.io/library/other:1", 1)]
)
def test_a_build_that_left_no_image_on_the_node_fails(checkout: Path, listed: str, code: int) -> None:
    """minikube says 0 for a build that failed: a stand-in of it that lists this, and builds nothing."""
    tag = run("images/build", "--tag", cwd=checkout).strip()
    program = checkout / "bin" / "minikube"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\ncase "$*" in "image ls") echo "{listed.replace("$tag", tag)}" ;; esac\n')
    program.chmod(0o755)
    done = subprocess.run(
        ["images/build", "minikube"],
        cwd=checkout,
        env={**os.environ, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert code == 0 or f"minikube's node has no localhost/vhm-worker:{tag}" in done.stderr
