"""Requests to answers: what was declared is imported once, then asked as often as wanted."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

from . import distributions, topics
from . import settings as settings_types
from .failure import Failure, one_line


class Session:
    """What one run has imported."""

    def __init__(self) -> None:
        self.settings: dict[str, Any] = {}
        self.declared: dict[str, dict[str, str]] = {}
        self.apps: dict[str, Any] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to one request; `{"failed": ...}` when a declared name cannot be used."""
        try:
            if "containers" in request:
                return self._declare(request)
            return self._ask(request)
        except Failure as failure:
            return {"failed": failure.told()}

    def _declare(self, request: dict[str, Any]) -> dict[str, Any]:
        for root in reversed(request["roots"]):
            if root not in sys.path:
                sys.path.insert(0, root)
        os.chdir(request["roots"][0])
        self.declared = request["containers"]
        kinds: dict[str, Any] = {}
        answer: dict[str, Any] = {}
        for container, names in self.declared.items():
            told: dict[str, Any] = {"settings": None, "topics": None}
            if "settings" in names:
                name = names["settings"]
                if name not in kinds:
                    found = self._load(container, "settings")
                    kinds[name] = self._use(
                        container, "settings", lambda found=found: settings_types.kind(found)
                    )
                self.settings[container] = kinds[name]
                told["settings"] = self._use(container, "settings", kinds[name].variables)
            if "topics" in names:
                found = self._load(container, "topics")
                told["topics"] = self._use(container, "topics", lambda found=found: topics.names(found))
            if "app" in names:
                self._load(container, "app")
            answer[container] = told
        return {"containers": answer}

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = {}
        if "environments" in request:
            answer["environments"] = [
                self._use(
                    asked["container"],
                    "settings",
                    lambda asked=asked: settings_types.check(self.settings[asked["container"]], asked),
                )
                for asked in request["environments"]
            ]
        if "routes" in request:
            # asyncio is worth importing only now
            from . import routes

            answer["routes"] = {}
            for container, paths in request["routes"].items():
                name = self.declared[container]["app"]
                if name not in self.apps:
                    found = self._load(container, "app")
                    self.apps[name] = self._use(
                        container, "app", lambda found=found, made=routes.made: made(found)
                    )
                answer["routes"][container] = routes.ask(self.apps[name], paths)
        if "modules" in request:
            answer["modules"] = distributions.providers(request["modules"])
            answer["closure"] = distributions.closure(request.get("installed", []))
        return answer

    def _load(self, container: str, key: str) -> Any:
        module, _, attribute = self.declared[container][key].partition(":")

        def load() -> Any:
            found: Any = importlib.import_module(module)
            for part in attribute.split("."):
                found = getattr(found, part)
            return found

        return self._use(container, key, load)

    def _use(self, container: str, key: str, call: Any) -> Any:
        try:
            return call()
        # imported code may raise or exit as it likes; all of it is one line to the caller
        except BaseException as error:
            raise Failure(container, key, self.declared[container][key], one_line(error)) from None
