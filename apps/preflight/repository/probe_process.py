"""The subprocess that imports the checked repository's names: started, asked in lines of JSON, ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import msgspec

from preflight.findings import CheckError

SECONDS = 20.0
"""Longest wait for one answer: imports included."""

SECONDS_OF_A_RUN = 60.0
"""Longest wait for all answers together."""


class Process:
    """One subprocess for one repository. Raises `CheckError` only where no interpreter starts."""

    def __init__(self, root: Path, names: Sequence[str], import_roots: Sequence[str], seconds: float) -> None:
        self.names = names
        self.root = root.resolve()
        self.roots = [str(path) for name in import_roots if (path := self.root / name).is_dir()]
        self.seconds = seconds
        self.left = SECONDS_OF_A_RUN
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, while other work goes on. It starts with our environment, which a question replaces."""
        python = interpreter(self.root)
        try:
            # the command is an interpreter and our own file; nothing of it comes from a manifest
            self._process = subprocess.Popen(  # noqa: S603
                [python, "-B", str(Path(__file__).parent / "probe")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=self.root,
                start_new_session=True,
            )
        except OSError as error:
            raise CheckError(f"{python}: does not start: {error.strerror}") from None
        self._send({"preload": self.names, "roots": self.roots})

    def close(self) -> None:
        """End it with whatever the imported code started: they are a session of their own."""
        if self._process is not None:
            self._kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    stream.close()
            self._process = None

    def stop(self) -> None:
        """Answer nothing any more."""
        self.left = 0
        self._kill()

    def _kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)

    def ask(self, **question: Any) -> dict[str, Any]:
        """The answer to one question (see `probe.answer`); `{"ended": WHY}` where there is none."""
        if self.left <= 0:
            return {"ended": "was not asked: what was asked before took the time of the whole run"}
        begun = time.monotonic()
        seconds = min(self.seconds, self.left)
        question |= {"root": str(self.root), "roots": self.roots, "seconds": seconds}
        _, answers = self._pipes()
        # the probe keeps the time itself; this is for a probe that does not answer at all
        timer = threading.Timer(seconds + 5, self._kill)
        timer.start()
        try:
            self._send(question)
            line = answers.readline()
        except BrokenPipeError:
            line = b""
        finally:
            timer.cancel()
        self.left -= time.monotonic() - begun
        if not line:
            self.close()
            return {"ended": "ends the interpreter"}
        answer: dict[str, Any] = msgspec.json.decode(line)
        return answer

    def _send(self, question: dict[str, Any]) -> None:
        requests, _ = self._pipes()
        requests.write(msgspec.json.encode(question) + b"\n")
        requests.flush()

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        if self._process is None:
            self.start()
        if self._process is None or self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("asked before it was started")
        return self._process.stdin, self._process.stdout


def interpreter(root: Path) -> str:
    """The checked repository's own Python: its .venv, else the environment that is active, else ours."""
    for venv in (root / ".venv", Path(os.environ.get("VIRTUAL_ENV") or "/nonexistent")):
        python = venv / "bin" / "python"
        if python.is_file():
            return str(python)
    return sys.executable
