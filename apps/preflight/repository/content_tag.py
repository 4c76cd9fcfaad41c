"""The tag the image of this tree has, as the repository's own command says it.

`tag = ["images/build", "--tag"]` in `[tool.preflight.containers.<name>]` names a program of the repository
and its arguments. It is run without a shell, in the repository's root, with a timeout and without this
process's environment, and prints the tag. Like the names to import it comes from that repository's own
pyproject.toml; nothing of a manifest reaches it.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from preflight.findings import CheckError
from preflight.repository.probe_process import SECONDS

KEPT = ("HOME", "LANG", "LC_ALL", "PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "TZ", "VIRTUAL_ENV")
"""What of our environment the command sees."""
TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)


def tag_of_tree(root: Path, command: tuple[str, ...], seconds: float = SECONDS) -> str:
    """What the command prints. Raises `CheckError` with one line where it fails, hangs or prints no tag."""
    said = f"pyproject.toml: [tool.preflight.containers] tag = {list(command)}"
    program = root / command[0]
    words = [str(program) if program.is_file() else command[0], *command[1:]]
    try:
        # named by the repository that is checked, in its own pyproject.toml, as its settings types are
        done = subprocess.run(  # noqa: S603
            words,
            cwd=root,
            env={name: os.environ[name] for name in KEPT if name in os.environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CheckError(f"{said} took longer than {seconds:g} s") from None
    except OSError as error:
        raise CheckError(f"{said} does not start: {error.strerror}") from None
    told = done.stdout.decode("utf-8", "replace").strip()
    if done.returncode != 0 or not TAG.fullmatch(told):
        last = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        why = last if done.returncode else f"printed {told[:60]!r}, which is no tag"
        raise CheckError(f"{said} {why[:300] or f'ended with exit code {done.returncode}'}")
    return told
