"""A repository's declaration of its topics → names, with who writes and reads where it says so."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import Any


def names(declared: Any) -> list[dict[str, Any]]:
    """Topics of a string, strings, objects with `.name` (and perhaps `.writers`, `.readers`), a mapping
    by name, or an Enum. Raises TypeError for anything else."""
    if isinstance(declared, str):
        return [_topic(declared)]
    if isinstance(declared, type) and issubclass(declared, enum.Enum):
        return [_topic(member.value) for member in declared]
    if isinstance(declared, Mapping):
        return [_topic(key) for key in declared]
    if isinstance(declared, Iterable):
        return [_topic(item) for item in declared]
    raise TypeError("topics are strings or objects with a name, got " + type(declared).__name__)


def _topic(item: Any) -> dict[str, Any]:
    if isinstance(item, enum.Enum):
        item = item.value
    name = item if isinstance(item, str) else getattr(item, "name", None)
    if not isinstance(name, str):
        raise TypeError("a topic is a string or has a name, got " + type(item).__name__)
    return {"name": name, "writers": _people(item, "writers"), "readers": _people(item, "readers")}


def _people(item: Any, role: str) -> list[str]:
    found = [] if isinstance(item, str) else getattr(item, role, ())
    return [str(name) for name in ([found] if isinstance(found, str) else found)]
