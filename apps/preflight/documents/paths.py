"""Paths into plain data: steps, their notation, and the values they lead to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from preflight.documents.node import Plain

Step = str | int
"""One step of a path into a document: a mapping's key or a list's index."""


def dotted(path: Iterable[Step]) -> str:
    """A path in the API's notation: `spec.containers[0].image`, `data[a.b]` for a key with dots."""
    text = ""
    for step in path:
        if isinstance(step, int) or "." in step or "/" in step:
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


def dig(value: Any, *path: Step, default: Any = None) -> Any:
    """The value at `path` in plain data, or `default`."""
    for step in path:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and -len(value) <= step < len(value):
            value = value[step]
        else:
            return default
    return default if value is None else value


def list_at(value: Any, *path: Step) -> list[Any]:
    """The list at `path` in plain data, empty where there is none."""
    found = dig(value, *path)
    return found if isinstance(found, list) else []


def mapping(value: object) -> dict[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def strings(value: object) -> dict[str, str]:
    """The entries of a mapping that are strings."""
    if not isinstance(value, dict):
        return {}
    return {key: each for key, each in value.items() if isinstance(each, str)}


def walk(value: Plain, path: tuple[Step, ...] = ()) -> Iterator[tuple[tuple[Step, ...], Plain]]:
    """Every value in plain data with its path, outermost first."""
    yield path, value
    items: Iterable[tuple[Step, Plain]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for step, each in items:
        yield from walk(each, (*path, step))
