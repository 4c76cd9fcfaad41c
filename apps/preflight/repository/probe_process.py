"""The subprocess that imports the checked repository's names: started, asked in lines of JSON, ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import msgspec

from preflight.findings import CheckError
from preflight.repository.config import ContainerConfig

IMPORT_ROOTS = ("", "apps", "src")
"""Folders below the repository root that go on the path, as far as they exist."""

SECONDS = 20.0
"""Longest wait for an answer: imports included."""

KEPT = ("HOME", "LANG", "LC_ALL", "PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "TZ", "VIRTUAL_ENV")
"""What of our environment the subprocess sees: an application's settings must not come from it."""

NAMES = ("settings", "app", "topics")


class Process:
    """One subprocess for one repository. Every method raises `CheckError` with one line when a declared
    name cannot be imported or used, ends the interpreter, or takes longer than `seconds`."""

    def __init__(self, root: Path, containers: Mapping[str, ContainerConfig], seconds: float) -> None:
        self.root = root
        self.containers = containers
        self.seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._declared: dict[str, Any] | None = None
        self._late = False

    def start(self) -> None:
        """Start it, and let it import what is declared while other work goes on."""
        roots = [str(path) for name in IMPORT_ROOTS if (path := self.root / name).is_dir()]
        python = interpreter(self.root)
        try:
            # the command is an interpreter and our own file; nothing of it comes from a manifest
            self._process = subprocess.Popen(  # noqa: S603
                [python, "-B", str(Path(__file__).parent / "probe")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                cwd=self.root,
                env={name: os.environ[name] for name in KEPT if name in os.environ},
                start_new_session=True,
            )
        except OSError as error:
            raise CheckError(f"{python}: does not start: {error.strerror}") from None
        containers = {
            container: {key: name for key in NAMES if (name := getattr(config, key)) is not None}
            for container, config in self.containers.items()
        }
        self._send({"roots": roots, "containers": containers})

    def close(self) -> None:
        """End it."""
        if self._process is not None:
            _end(self._process)
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    stream.close()
            self._process = None
        self._errors.close()

    def declared(self) -> dict[str, Any]:
        """What the declared names say of themselves, by container."""
        if self._declared is None:
            if self._process is None:
                self.start()
            self._declared = self._answer()["containers"]
        return self._declared

    def ask(self, **request: Any) -> dict[str, Any]:
        """The answer to one request (see `preflight.repository.probe.__main__`)."""
        self.declared()
        self._send(request)
        return self._answer()

    def _send(self, request: dict[str, Any]) -> None:
        _, requests, _ = self._pipes()
        try:
            requests.write(msgspec.json.encode(request) + b"\n")
            requests.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def _answer(self) -> dict[str, Any]:
        process, _, answers = self._pipes()
        timer = threading.Timer(self.seconds, self._kill, (process,))
        timer.start()
        try:
            line = answers.readline()
        finally:
            timer.cancel()
        if not line:
            raise self._ended()
        answer: dict[str, Any] = msgspec.json.decode(line)
        if failed := answer.get("failed"):
            raise CheckError(
                f"pyproject.toml: [tool.preflight.containers.{failed['container']}] "
                f'{failed["key"]} = "{failed["name"]}" cannot be used: {failed["why"]}'
            )
        return answer

    def _pipes(self) -> tuple[subprocess.Popen[bytes], IO[bytes], IO[bytes]]:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise RuntimeError("asked before it was started")
        return process, process.stdin, process.stdout

    def _kill(self, process: subprocess.Popen[bytes]) -> None:
        self._late = True
        _end(process)

    def _ended(self) -> CheckError:
        named = {
            name for config in self.containers.values() for key in NAMES if (name := getattr(config, key))
        }
        what = "importing " + ", ".join(sorted(named)) + ", which pyproject.toml names,"
        if self._late:
            return CheckError(f"{what} took longer than {self.seconds:g} s")
        self._errors.seek(0)
        last = self._errors.read().decode(errors="replace").strip().rpartition("\n")[2][:300]
        return CheckError(f"{what} ended the interpreter" + (f": {last}" if last else ""))


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill it with whatever the imported code started: they are a session of their own."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def interpreter(root: Path) -> str:
    """The checked repository's own Python: its .venv, else the environment that is active, else ours."""
    for venv in (root / ".venv", Path(os.environ.get("VIRTUAL_ENV") or "/nonexistent")):
        for python in (venv / "bin" / "python", venv / "Scripts" / "python.exe"):
            if python.is_file():
                return str(python)
    return sys.executable
