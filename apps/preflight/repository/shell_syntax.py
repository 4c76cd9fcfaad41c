"""Whether a shell can read a script, asked of the shell with `-n`: it reads all and executes nothing."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import lru_cache

SECONDS = 5.0
BIGGEST = 200_000
"""Characters of a script that are looked at."""
TO_FILL_IN = re.compile(r"<[A-Z][A-Z0-9_-]*>")
"""A word that another tool replaces first, and no redirection."""


@lru_cache(maxsize=512)
def problem_of(script: str, shell: str = "sh") -> str:
    """What a shell says it cannot read in a script; empty where it can, or no shell is here to ask.

    What is for `sh` is a fault only if `bash` cannot read it either: the image's `sh` may be either, or
    busybox, which takes some of bash's words.
    """
    if len(script) > BIGGEST or "\0" in script:
        return ""
    script, said = TO_FILL_IN.sub("WORD", script), ""
    for program in ("bash",) if shell == "bash" else ("sh", "bash"):
        problem = _asked(program, script)
        if not problem:
            return ""
        said = said or problem
    return said


def _asked(program: str, script: str) -> str:
    path = shutil.which(program)
    if path is None:
        return ""
    options = ["--norc", "--noprofile"] if program == "bash" else []
    try:
        # -n: noexec. The script comes by standard input, and the environment is empty
        done = subprocess.run(  # noqa: S603
            [path, *options, "-n"],
            input=script.encode("utf-8", "replace"),
            env={},
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    if done.returncode == 0:
        return ""
    text = done.stderr.decode("utf-8", "replace").strip().partition("\n")[0]
    return re.sub(r"^\S*?:\s*(line\s+)?(\d+):\s*", r"line \2: ", text)[:200] or "it does not parse"
