"""`vhm indexer | resonance | reteller | gateway`: one worker, as a pod runs it."""

from __future__ import annotations

import importlib
from typing import Any

from vhm.runtime import worker as runtime


def run(name: str) -> int:
    """Run a worker until it is told to stop; the process's exit code. Its settings are
    `vhm.<name>.settings:Settings`, and `vhm.<name>.worker:make` is imported only when they are right."""
    settings_type = importlib.import_module(f"vhm.{name}.settings").Settings

    def make(settings: Any) -> Any:
        return importlib.import_module(f"vhm.{name}.worker").make(settings)

    return runtime.main(name, settings_type, make)


def indexer() -> int:
    """Remember: anchors-write → the store → anchors-indexed. `vhm settings indexer` says what it reads."""
    return run("indexer")


def resonance() -> int:
    """Recall: recall-request → the store → recall-response. `vhm settings resonance` says what it reads."""
    return run("resonance")


def reteller() -> int:
    """Retell: recall-response → a story → retell-response. `vhm settings reteller` says what it reads."""
    return run("reteller")


def gateway() -> int:
    """Let programs and people in: REST, MCP and a page. `vhm settings gateway` says what it reads."""
    return run("gateway")
