"""One line of JSON in, one out, until the input ends. `preflight.repository.probe_process` is the other end.

Each question about the repository's code is answered by a fork of this process, which has imported nothing
of the repository: it enters the sandbox, imports, answers, and is gone. A fork that is late is killed. The
answer `{"ended": WHY}` means that a fork did not come to an answer.
"""

from __future__ import annotations

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
from collections.abc import Iterable
from typing import Any

ALIAS = "_preflight_probe"
PRELOADED = {"attrs", "msgspec", "pydantic", "pydantic_settings", "litestar", "fastapi"}
"""Libraries that are slow to import and read no environment: forks have them from the start, where a declared
module mentions them or a fork before needed them."""


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


def _fork(answer: Any, question: dict[str, Any], seconds: float) -> dict[str, Any]:
    folder = tempfile.mkdtemp(prefix="preflight-")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
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
    os.close(writer)
    said, late = _read(reader, time.monotonic() + seconds)
    os.close(reader)
    if late:
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    shutil.rmtree(folder, ignore_errors=True)
    if late:
        return {"ended": f"takes longer than {seconds:g} s"}
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == answer.OUT_OF_MEMORY:
        return {"ended": "takes more than 1 GiB of memory"}
    if not said:
        by = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"code {os.WEXITSTATUS(status)}"
        return {"ended": f"ends the interpreter ({by})"}
    found: dict[str, Any] = json.loads(said)
    _preload(found.pop("loaded", ()))
    return found


def _preload(names: Iterable[str]) -> None:
    for name in names:
        if name in PRELOADED and name not in sys.modules:
            try:
                importlib.import_module(name)
            # a fork that needs it meets the same and says so
            except Exception:
                PRELOADED.discard(name)


def _read(reader: int, deadline: float) -> tuple[bytes, bool]:
    """What a fork writes until it ends, and whether it is late."""
    said = b""
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([reader], [], [], left)[0]:
            return said, True
        part = os.read(reader, 1 << 16)
        if not part:
            return said, False
        said += part


def main() -> None:
    """Answer questions. What the imported code prints goes nowhere: it may print a secret."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    questions = os.fdopen(os.dup(0), encoding="utf-8")
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    answer = _own_package()
    answer.leave_the_network()
    for line in questions:
        question = json.loads(line)
        if "preload" in question:
            _preload(answer.mentioned(question["preload"], question["roots"]))
            continue
        if "modules" in question:
            found = answer.of_distributions(question)
        else:
            found = _fork(answer, question, question["seconds"])
        answers.write(json.dumps(found) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
    os._exit(0)
