"""The subprocess that imports the checked repository's names: started, asked in lines of JSON, ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec

from preflight.findings import CheckError

SECONDS = 20.0
"""Longest wait for one answer: imports included."""

SECONDS_OF_A_RUN = 60.0
"""Longest time that all answers together may take."""

ENDED = {"ended": "ends the interpreter"}


class Process:
    """One subprocess for one repository. Raises `CheckError` only where no interpreter starts."""

    def __init__(self, root: Path, names: Sequence[str], import_roots: Sequence[str], seconds: float) -> None:
        self.names = names
        self.root = root.resolve()
        self.roots = [str(path) for name in import_roots if (path := self.root / name).is_dir()]
        self.seconds = seconds
        self.left = SECONDS_OF_A_RUN
        self._process: subprocess.Popen[bytes] | None = None
        self._turns = threading.Semaphore(os.cpu_count() or 1)
        self._lock = threading.Lock()
        self._asked = 0
        self._waiting: dict[int, Future[dict[str, Any]]] = {}

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
        self._waiting = {}
        threading.Thread(target=self._listen, args=[self._process, self._waiting], daemon=True).start()
        self._send({"preload": self.names, "roots": self.roots})

    def close(self) -> None:
        """End it with whatever the imported code started: they are a session of their own."""
        if self._process is not None:
            self._kill()
            self._process.wait()
            if self._process.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    self._process.stdin.close()
            self._process = None

    def stop(self) -> None:
        """Answer nothing any more."""
        self.left = 0
        self._kill()

    def _kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.killpg(self._process.pid, signal.SIGKILL)

    def ask(self, **question: Any) -> dict[str, Any]:
        """The answer to one question (see `probe.answer`); `{"ended": WHY}` where there is none. Several
        threads may ask: as many questions as there are cores are answered side by side."""
        with self._turns:
            if self.left <= 0:
                return {"ended": "was not asked: what was asked before took the time of the whole run"}
            begun = time.monotonic()
            seconds = min(self.seconds, self.left)
            answer: Future[dict[str, Any]] = Future()
            with self._lock:
                if self._process is None or self._process.poll() is not None:
                    self.close()
                    self.start()
                self._asked += 1
                self._waiting[self._asked] = answer
                question |= {"id": self._asked, "root": str(self.root), "roots": self.roots}
                with contextlib.suppress(BrokenPipeError):
                    self._send({**question, "seconds": seconds})
            try:
                # the probe keeps the time itself; this is for a probe that does not answer at all
                return answer.result(seconds + 5)
            except TimeoutError:
                self._kill()
                return ENDED
            finally:
                with self._lock:
                    self.left -= time.monotonic() - begun

    def _listen(self, process: subprocess.Popen[bytes], waiting: dict[int, Future[dict[str, Any]]]) -> None:
        """Hand out a process's answers until it ends, and then to those who wait that there is none."""
        if process.stdout is None:
            raise RuntimeError("started without a pipe")
        with process.stdout as answers:
            for line in answers:
                answer: dict[str, Any] = msgspec.json.decode(line)
                waiting.pop(answer.pop("id")).set_result(answer)
        with self._lock:
            process.wait()
            for unanswered in waiting.values():
                unanswered.set_result(ENDED)

    def _send(self, question: dict[str, Any]) -> None:
        if self._process is None or self._process.stdin is None:
            raise RuntimeError("asked before it was started")
        self._process.stdin.write(msgspec.json.encode(question) + b"\n")
        self._process.stdin.flush()


def interpreter(root: Path) -> str:
    """The checked repository's own Python: its .venv, else the environment that is active, else ours."""
    for venv in (root / ".venv", Path(os.environ.get("VIRTUAL_ENV") or "/nonexistent")):
        python = venv / "bin" / "python"
        if python.is_file():
            return str(python)
    return sys.executable
