"""One line of JSON in, one out, until the input ends. `preflight.repository.probe_process` is the other end.

Each question about the repository's code is answered by a fork of this process, which has imported nothing
of the repository: it enters the sandbox, imports, answers, and is gone. Forks work side by side; answers bear
the `id` of their question. A fork that is late is killed. The answer `{"ended": WHY}` means that a fork did
not come to an answer.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import os
import select
import shutil
import signal
import sys
import tempfile
import time
from typing import Any, NoReturn

ALIAS = "_preflight_probe"
PRELOADED = {"attrs", "msgspec", "pydantic", "pydantic_settings", "litestar", "fastapi"}
"""Libraries that are slow to import and read no environment: forks have them from the start, where a declared
module mentions them."""


def _own_package() -> Any:
    """This package under a name of its own: its folder must not stay on the checked repository's path,
    where `settings` or `routes` may be the repository's own modules."""
    here = os.path.dirname(os.path.realpath(__file__))
    sys.path[:] = [entry for entry in sys.path if not entry or os.path.realpath(entry) != here]
    spec = importlib.util.spec_from_file_location(
        ALIAS, os.path.join(here, "__init__.py"), submodule_search_locations=[here]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{here} is not a package")
    package = importlib.util.module_from_spec(spec)
    sys.modules[ALIAS] = package
    spec.loader.exec_module(package)
    return importlib.import_module(ALIAS + ".answer")


class _Fork:
    """A process that answers one question: it begins as a copy of this one."""

    def __init__(self, answer: Any, question: dict[str, Any]) -> None:
        self.id = question.pop("id")
        self.seconds = question["seconds"]
        self.deadline = time.monotonic() + self.seconds
        self.said = b""
        self._folder = tempfile.mkdtemp(prefix="preflight-")
        self._out_of_memory = answer.OUT_OF_MEMORY
        self.reader, writer = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            os.close(self.reader)
            _answer(answer, question, self._folder, writer)
        os.close(writer)

    def result(self, late: bool) -> dict[str, Any]:
        """The answer, once it has said all or is late."""
        os.close(self.reader)
        if late:
            os.kill(self._child, signal.SIGKILL)
        status = os.waitpid(self._child, 0)[1]
        shutil.rmtree(self._folder, ignore_errors=True)
        if late:
            return {"ended": f"takes longer than {self.seconds:g} s"}
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) == self._out_of_memory:
            return {"ended": "takes more than 1 GiB of memory"}
        if not self.said:
            code = f"code {os.WEXITSTATUS(status)}"
            by = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else code
            return {"ended": f"ends the interpreter ({by})"}
        found: dict[str, Any] = json.loads(self.said)
        return found


def _answer(answer: Any, question: dict[str, Any], folder: str, writer: int) -> NoReturn:
    status = 1
    try:
        text = json.dumps(answer.of_code(question, folder)).encode()
        while text:
            text = text[os.write(writer, text) :]
        status = 0
    except MemoryError:
        status = answer.OUT_OF_MEMORY
    finally:
        # what the imported code started (threads, exit hooks) has nobody waiting for it
        os._exit(status)


def main() -> None:
    """Answer questions. What the imported code prints goes nowhere: it may print a secret."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    questions = os.dup(0)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    answer = _own_package()
    answer.leave_the_network()

    def say(id: int, found: dict[str, Any]) -> None:
        answers.write(json.dumps({"id": id, **found}) + "\n")
        answers.flush()

    forks: dict[int, _Fork] = {}
    asked = b""
    while True:
        first = min((fork.deadline for fork in forks.values()), default=None)
        left = None if first is None else max(first - time.monotonic(), 0)
        ready = select.select([questions, *forks], [], [], left)[0]
        for fork in list(forks.values()):
            late = fork.reader not in ready and time.monotonic() > fork.deadline
            part = os.read(fork.reader, 1 << 16) if fork.reader in ready else b""
            fork.said += part
            if late or (fork.reader in ready and not part):
                del forks[fork.reader]
                say(fork.id, fork.result(late))
        if questions in ready:
            part = os.read(questions, 1 << 16)
            if not part:
                return
            *lines, asked = (asked + part).split(b"\n")
            for question in map(json.loads, lines):
                if "preload" in question:
                    for name in answer.mentioned(question["preload"], question["roots"]) & PRELOADED:
                        # a fork that needs it meets the same and says so
                        with contextlib.suppress(Exception):
                            importlib.import_module(name)
                elif "modules" in question:
                    say(question["id"], answer.of_distributions(question))
                else:
                    fork = _Fork(answer, question)
                    forks[fork.reader] = fork


if __name__ == "__main__":
    main()
    os._exit(0)
