"""Running kustomize (or kubectl's) on a folder: bounded in time, memory and output, nothing written there."""

from __future__ import annotations

import functools
import os
import re
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path

from preflight.findings import CheckError

TIMEOUT_SECONDS = 180.0
MOST_MEMORY = 2 * 1024**3
"""Bytes of data kustomize may hold; a render of 2 000 objects takes about 0.1 GiB."""
MOST_OUTPUT = 64 * 1024**2
LIFTED = ("--load-restrictor", "LoadRestrictionsNone")
GARBAGE = "400"
"""Go's GOGC: a render is over before its garbage matters; a third less computing than with 100."""
ORIGIN = "config.kubernetes.io/origin"
"""The annotation that names an object's first file, relative to the wrapper's folder."""


@functools.cache
def find_program() -> tuple[str, str]:
    """kustomize on PATH, else kubectl, with the word that makes it render. Raises `CheckError` where neither
    is there."""
    for name, verb in (("kustomize", "build"), ("kubectl", "kustomize")):
        path = shutil.which(name)
        if path is not None:
            return path, verb
    raise CheckError("neither kustomize nor kubectl is on PATH: install one of them to render kustomizations")


def render(
    folder: Path, *, component: bool, allow_remote: bool, lift: bool = False, origins: bool = True
) -> tuple[bytes, Path]:
    """What kustomize makes of a folder, with `origins` annotated, and the folder those are relative to.

    The folder is wrapped by a kustomization in a temporary folder. Without `allow_remote` kustomize runs
    with a proxy that refuses and without git, so that nothing is fetched even where the reading of the tree
    missed it. Plugins and helm stay disabled. With `lift` files outside their kustomization's folder are
    read, as Flux reads them: the caller has looked at every path. Raises
    `CheckError` with kustomize's own last line.
    """
    program = find_program()
    with tempfile.TemporaryDirectory(prefix="preflight-") as made:
        wrapper = Path(made).resolve()
        relative = Path(os.path.relpath(folder.resolve(), wrapper)).as_posix()
        field = "components" if component else "resources"
        (wrapper / "kustomization.yaml").write_text(
            f"{field}: [{_quoted(relative)}]\n" + ("buildMetadata: [originAnnotations]\n" if origins else "")
        )
        out = wrapper / "out"
        environment = dict(os.environ) if allow_remote else _cut_off(wrapper)
        with out.open("wb") as stdout:
            try:
                done = subprocess.run(  # noqa: S603 - kustomize found on PATH, told one folder of our own
                    [*program, str(wrapper), *(LIFTED if lift else ())],
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=subprocess.PIPE,  # its end is the program's: waiting for a process alone polls
                    env={"GOGC": GARBAGE, **environment},
                    timeout=TIMEOUT_SECONDS,
                    check=False,
                    preexec_fn=_limit,
                )
            except subprocess.TimeoutExpired:
                raise CheckError(
                    f"{folder}: kustomize did not end within {TIMEOUT_SECONDS:.0f} seconds"
                ) from None
        if origins and done.returncode != 0 and b"resource.Origin" in done.stderr:
            # the manifests have an annotation of that name with something else in it
            return render(folder, component=component, allow_remote=allow_remote, lift=lift, origins=False)
        if done.returncode != 0:
            raise CheckError(f"{folder}: {_reason(done.stderr, done.returncode, folder)}")
        return out.read_bytes(), wrapper


def _cut_off(wrapper: Path) -> dict[str, str]:
    refused = "http://127.0.0.1:9"
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), refused)
    return {"PATH": str(wrapper), "HOME": str(wrapper), "NO_PROXY": "", **proxies}


def _limit() -> None:
    """Runs in the child. Data and not address space: Go reserves far more addresses than it uses."""
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_OUTPUT, MOST_OUTPUT))


def _quoted(path: str) -> str:
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _reason(said: bytes, code: int, target: Path) -> str:
    text = said[:20_000].decode("utf-8", "replace")
    if "out of memory" in text or "cannot allocate memory" in text:
        return f"kustomize wanted more than {MOST_MEMORY // 1024**3} GiB of memory"
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    first = next((n for n, line in enumerate(lines) if _STARTS.match(line)), 0)
    told = _STARTS.sub("", " ".join(lines[first:])).strip(' <>"')
    *outer, inner = _NESTED.split(told)
    folder = Path(outer[-1]) if outer else target.resolve()
    where = f" (in {os.path.relpath(folder, target.resolve())})" if folder != target.resolve() else ""
    return f"kustomize refuses it{where}: {inner[:500]}" if told else f"kustomize ended with code {code}"


_STARTS = re.compile(r"^(Error: |error: |E\d{4} [^\]]*\] \"command failed\" err=)")
"""How the line begins that says why: kustomize's, kubectl's, and kubectl's as a log line."""
_NESTED = re.compile(
    r"(?:recursed (?:accumulation of|merging from)|couldn't make target for) path '([^']*)': "
)
"""How kustomize wraps what it says once for each kustomization on the way."""
