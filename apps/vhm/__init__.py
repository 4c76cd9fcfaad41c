"""A virtual human memory: remember, recall, forget.

`Memory` (for asyncio `AsyncMemory`) is how a program speaks to it. What they need is imported when it is
used, so that a worker, which imports this package too, starts as fast as its own imports.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from vhm.contract.version import __version__ as __version__

if TYPE_CHECKING:
    from vhm.client.errors import Refused, Unavailable
    from vhm.client.memory import AsyncMemory, Memory
    from vhm.client.results import Receipt, Recollection
    from vhm.contract.messages import Anchor, Beat

_HOMES = {
    "AsyncMemory": "vhm.client.memory",
    "Memory": "vhm.client.memory",
    "Anchor": "vhm.contract.messages",
    "Beat": "vhm.contract.messages",
    "Receipt": "vhm.client.results",
    "Recollection": "vhm.client.results",
    "Refused": "vhm.client.errors",
    "Unavailable": "vhm.client.errors",
}

__all__ = [
    "Anchor",
    "AsyncMemory",
    "Beat",
    "Memory",
    "Receipt",
    "Recollection",
    "Refused",
    "Unavailable",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'vhm' has no attribute {name!r}")
