"""The images the tests need, and how they get into the cluster's node.

VHM_TEST_BUILD     more options for images/build, such as "--base localhost/python:standin"
VHM_TEST_LOAD      the command that loads an archive, its path is added; known for minikube and kind
VHM_TEST_STANDINS  a folder with kafka.tar and qdrant.tar made by standins/build, where nothing can be pulled
"""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import tarfile
from pathlib import Path

import msgspec

from cluster.cluster import ROOT
from tools import cache

IMAGE = "localhost/vhm-worker"


def tag() -> str:
    """The tag of this tree."""
    return _run("images/build", "--tag").strip()


def worker_archive() -> Path:
    """The workers' image of this tree as an archive, built unless that was done before."""
    archive = cache().parent / "cluster" / f"{tag()}.tar"
    if not archive.exists():
        archive.parent.mkdir(parents=True, exist_ok=True)
        options = shlex.split(os.environ.get("VHM_TEST_BUILD", ""))
        _run("images/build", *options, "--save", f"{archive}.part")
        Path(f"{archive}.part").replace(archive)
    return archive


def standins() -> Path | None:
    """The folder of stand-ins for what cannot be pulled, if one was given."""
    folder = os.environ.get("VHM_TEST_STANDINS")
    return Path(folder) if folder else None


def load_command(context: str) -> list[str] | None:
    """How an archive is loaded into the cluster of that kubectl context; None where we do not know."""
    if command := os.environ.get("VHM_TEST_LOAD"):
        return shlex.split(command)
    if context == "minikube":
        return ["minikube", "image", "load"]
    if context.startswith("kind-"):
        return ["kind", "load", "image-archive", "--name", context.removeprefix("kind-")]
    return None


def load(command: list[str], archive: Path) -> None:
    """Load an archive into the cluster."""
    _run(*command, str(archive))


def renamed(archive: Path, tag: str) -> Path:
    """The same image under another tag, as a new build that changed nothing would be."""
    other = archive.with_name(f"{tag}.tar")
    with tarfile.open(archive) as old, tarfile.open(other, "w") as new:
        for member in old:
            content = old.extractfile(member)
            if member.name == "manifest.json" and content is not None:
                manifest = msgspec.json.decode(content.read())
                manifest[0]["RepoTags"] = [f"{IMAGE}:{tag}"]
                written = msgspec.json.encode(manifest)
                member.size = len(written)
                new.addfile(member, io.BytesIO(written))
            elif member.name != "repositories":
                new.addfile(member, content)
    return other


def _run(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout
