"""Images of broken cases that are repositories of their own: their Dockerfiles built, and into the node."""

from __future__ import annotations

import functools
import os
import shlex
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

from cluster import images

PUBLISHED = "registry.example.org/shop"
"""How the cases' manifests call their image."""
ONE_AT_A_TIME = threading.Lock()


def image(case: str) -> str:
    """The name of a case's image on the node."""
    return f"localhost/case-{case}:1"


@functools.cache
def builder() -> str | None:
    """A program that builds images here: the first that answers."""
    for name, ask in (("docker", "info"), ("podman", "info"), ("buildah", "--version")):
        if not shutil.which(name):
            continue
        if subprocess.run([name, ask], capture_output=True, check=False).returncode == 0:
            return name
    return None


def make(folder: Path, load: list[str]) -> str:
    """Build a case's image and load it into the node; where that fails, the builder's last word on it."""
    name, program = image(folder.name), builder()
    assert program
    base = _base(program)
    with ONE_AT_A_TIME, tempfile.TemporaryDirectory() as temporary:
        done = _build(program, name, folder, *(("--from", base) if base else ()))
        if done.returncode:
            return next(line for line in reversed(done.stderr.splitlines()) if line.strip())
        archive = Path(temporary) / "image.tar"
        if program == "buildah":
            save = ["buildah", "push", "--quiet", name, f"docker-archive:{archive}:{name}"]
        else:
            save = [program, "save", "-o", str(archive), name]
        subprocess.run(save, check=True, capture_output=True)
        images.load(load, archive)
    return ""


@functools.cache
def _base(program: str) -> str | None:
    """The base that VHM_TEST_BUILD names, with `python`, where the Dockerfiles' own cannot be pulled."""
    options = shlex.split(os.environ.get("VHM_TEST_BUILD", ""))
    if "--base" not in options:
        return None
    given = options[options.index("--base") + 1]
    with tempfile.TemporaryDirectory() as folder:
        python = 'RUN command -v python || ln -s "$(command -v python3)" /usr/local/bin/python'
        (Path(folder) / "Dockerfile").write_text(f"FROM {given}\n{python}\n")
        done = _build(program, "localhost/case-base:1", Path(folder))
    assert done.returncode == 0, done.stderr
    return "localhost/case-base:1"


def _build(program: str, name: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    verb = ["bud", "--layers"] if program == "buildah" else ["build"]
    command = [program, *verb, "-t", name, *options, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)
