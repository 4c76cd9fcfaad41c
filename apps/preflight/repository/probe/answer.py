"""Questions to answers: a declared name is imported in the sandbox of its pod, and asked there."""

from __future__ import annotations

import importlib
import os
import re
import resource
import sys
import time
from typing import Any

from . import distributions, metrics, settings_types, topics
from .attribution import PLACEHOLDERS, Attribution, problems_of, spoken
from .sandbox import Environ, Refused, Sandbox, leave_the_network

__all__ = ["OUT_OF_MEMORY", "leave_the_network", "mentioned", "of_code", "of_distributions"]
OUT_OF_MEMORY = 99
"""The exit code of a fork that had not memory enough."""


class NotFoundError(Exception):
    """A declared name that the repository does not have."""


def of_distributions(question: dict[str, Any]) -> dict[str, Any]:
    """`modules`: module → distributions that provide it; `closure`: what `installed` draws in."""
    return {
        "modules": distributions.providers(question["modules"]),
        "closure": distributions.closure(question.get("installed", [])),
    }


def mentioned(names: list[str], roots: list[str]) -> set[str]:
    """The words of the modules of these declared names, for the libraries among them."""
    found: set[str] = set()
    for name in names:
        path = name.partition(":")[0].replace(".", "/")
        for file in (os.path.join(root, path + end) for root in roots for end in (".py", "/__init__.py")):
            if os.path.isfile(file):
                with open(file, encoding="utf-8", errors="replace") as source:
                    found.update(re.findall(r"\w+", source.read()))
    return found


def of_code(question: dict[str, Any], folder: str) -> dict[str, Any]:
    """The answer to one question about a declared `name`: `ask` is `settings`, `topics` or `app`.

    It has `tried` (what the sandbox refused), `unseen` (mounts looked into whose content is not known),
    `looked_up` and `all_read` (the variables that the import depends on), and what was asked for, or
    `failed`: `{"kind": "not-found" | "missing-package" | "raised", "why": ...}`.
    """
    deadline = time.monotonic() + 0.8 * question["seconds"]
    sys.path[:0] = [root for root in question["roots"] if root not in sys.path]
    sandbox = Sandbox(question, folder)
    state = {**dict.fromkeys(question["unknown"], PLACEHOLDERS[0]), **question["state"]}
    sandbox.enter(state)
    importer = Importer(question["name"], question["roots"])
    try:
        found = _ask(question, importer, sandbox, deadline)
    except NotFoundError as error:
        found = {"failed": {"kind": "not-found", "why": str(error)}}
    except ImportError as error:
        name = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
        why = name if name and not importer.is_own(name) else f"{type(error).__name__}: {error}"
        found = {"failed": {"kind": "missing-package" if why == name else "raised", "why": why}}
    except MemoryError:
        raise
    # imported code may raise or exit as it likes
    except BaseException as error:
        found = {"failed": {"kind": "raised", "why": _one_line(error, question["secrets"])}}
    if sandbox.tried:
        found = {"failed": {"kind": "tried", "why": sandbox.tried[0]}}
    return {
        **found,
        "unseen": sorted(sandbox.looked_unseen),
        "looked_up": sorted(Environ.looked_up),
        "all_read": Environ.all_read,
        "memory": importer.memory,
    }


def _ask(question: dict[str, Any], importer: Importer, sandbox: Sandbox, deadline: float) -> dict[str, Any]:
    if question["ask"] == "settings":
        form = _form(importer, sandbox, question)
        asked = Attribution(form, sandbox, question, deadline)
        asked.read_at_import = frozenset(Environ.looked_up)
        answer = asked.answer()
        said = any(each["variables"] for each in answer["problems"])
        if importer.error is not None and importer.found is None and answer["problems"] and not said:
            raise importer.error
        if importer.error is not None and not sandbox.tried and not answer["problems"]:
            # the class is content; the module that holds it may not be
            mended = {**question, "state": {**question["state"], **answer["state"]}}
            again = Attribution(settings_types.Form([], importer.load), sandbox, mended, deadline).answer()
            answer["problems"] = [each for each in again["problems"] if each["variables"]]
            if again["problems"] and not answer["problems"]:
                raise importer.error
        return answer
    try:
        found = importer.load()
    except (ImportError, NotFoundError, Refused):
        raise
    except Exception as error:
        if not question["unknown"]:
            raise
        # another value may do for what cannot be seen here
        left = importer.left_behind(error)
        form = settings_types.form(left, importer.load) if left else settings_types.Form([], importer.load)
        state = Attribution(form, sandbox, question, deadline).answer()["state"]
        sandbox.use({**question["state"], **state})
        found = importer.load()
    if question["ask"] == "topics":
        return {"topics": topics.names(found)}
    if question["ask"] == "metrics":
        return {"metrics": metrics.names(found)}
    # asyncio is worth importing only now
    from . import routes

    app, requests = routes.made(found), question["requests"]
    answers = routes.ask(app, requests)
    # what a start tries to do is no fault: it is not asked for
    tried = len(sandbox.tried)
    added = routes.adds_routes(app, requests, answers)
    del sandbox.tried[tried:]
    return {"routes": [{**answer, "starts": starts} for answer, starts in zip(answers, added, strict=True)]}


def _form(importer: Importer, sandbox: Sandbox, question: dict[str, Any]) -> settings_types.Form:
    try:
        found = importer.load()
    except (NotFoundError, Refused, MemoryError):
        raise
    # `settings = Settings()` at the end of a module: the class is there, though the module is not
    except BaseException as error:
        importer.error = error
        found = importer.found = importer.left_behind(error)
        if found is None:
            if isinstance(error, ImportError):
                raise
            return settings_types.Form([], importer.load)
    sandbox.keep_added(question["state"])
    return settings_types.form(found, importer.load)


def _most_memory() -> int:
    """The most memory this process has had, in bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class Importer:
    """Imports `module:attribute` (or a module), and again as if for the first time."""

    def __init__(self, name: str, roots: list[str]) -> None:
        self.module, _, self.attribute = name.partition(":")
        self.roots = roots
        self._before = set(sys.modules)
        self.error: BaseException | None = None
        self.memory = 0
        """Bytes that the first import took, beside what the process had before."""
        self.found: Any = None
        """What an error at import has left behind."""

    def load(self) -> Any:
        """What the name stands for. Raises NotFoundError where the repository has no such module or name."""
        for name in [name for name in sys.modules if name not in self._before]:
            if self._is_own_file(getattr(sys.modules[name], "__file__", None)):
                del sys.modules[name]
        importlib.invalidate_caches()
        before = _most_memory()
        try:
            found: Any = importlib.import_module(self.module)
            self.memory = self.memory or _most_memory() - before
        except ModuleNotFoundError as error:
            if error.name and (self.module + ".").startswith(error.name + "."):
                raise NotFoundError(f"no module {error.name}") from None
            raise
        for part in self.attribute.split(".") if self.attribute else ():
            if not hasattr(found, part):
                raise NotFoundError(f"{self.module} has no {self.attribute}")
            found = getattr(found, part)
        return found

    def left_behind(self, error: BaseException) -> Any:
        """The class of the name, in the module that an error has kept from being imported, or the settings
        that were being made then; None without either."""
        trace, making = error.__traceback__, None
        while trace is not None:
            names = trace.tb_frame.f_globals
            if names.get("__name__") == self.module and isinstance(names.get(self.attribute), type):
                return names[self.attribute]
            for value in trace.tb_frame.f_locals.values():
                making = type(value) if settings_types.is_settings(type(value)) else making
            trace = trace.tb_next
        return making

    def is_own(self, name: str) -> bool:
        """Whether a top-level module is the repository's."""
        return any(
            os.path.exists(os.path.join(root, name + end)) for root in self.roots for end in ("", ".py")
        )

    def _is_own_file(self, file: str | None) -> bool:
        own = file is not None and any(file.startswith(root + os.sep) for root in self.roots)
        return own and not any(part in str(file) for part in ("site-packages", "dist-packages"))


def _one_line(error: BaseException, secrets: list[str]) -> str:
    """The exception in one line; its kind alone where its words could hold a Secret's value."""
    name = type(error).__name__
    text = spoken("; ".join(problem.text for problem in problems_of(error)), secrets)
    return f"{name}: {text.removeprefix(name + ': ')}"[:300] if text else name
