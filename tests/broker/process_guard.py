"""Processes that tests start do not outlive the tests, however those end."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path


class ProcessGuard:
    """Kills the process `pid`, and deletes its `folder`, when this one is gone, also by SIGKILL: a shell
    waits for the end of a pipe that nobody else holds. (PR_SET_PDEATHSIG would strike when the *thread*
    that started it ends.)"""

    def __init__(self, pid: int, folder: Path | None = None) -> None:
        delete = f"; sleep 0.5; rm -rf {shlex.quote(str(folder))}" if folder else ""
        self._shell = subprocess.Popen(
            ["sh", "-c", f"read -r _; kill -KILL {pid}{delete}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def dismiss(self) -> None:
        """The process has ended, and its number may soon be somebody else's."""
        self._shell.kill()
        self._shell.communicate()
