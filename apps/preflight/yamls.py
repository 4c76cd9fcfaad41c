"""YAML as kustomize and kubectl read it, with the line of every value, safe on hostile input.

Scalars resolve as in sigs.k8s.io/yaml (go-yaml v2): `yes`, `on` and `y` are booleans, `22:22`, `=` and
dates are strings. Documents are bounded: size, nesting, and what aliases expand to.
"""

from __future__ import annotations

from collections.abc import Iterator

from preflight.findings import Place

Scalar = str | int | float | bool | None
Plain = Scalar | list["Plain"] | dict[str, "Plain"]


class Node:
    """A value and where it is written.

    `value` is a scalar, a list of nodes, or a dict of nodes by key. `line` (from 1) is a scalar's own; of a
    mapping or list that is a key's value it is the key's.
    """

    __slots__ = ("file", "line", "value")

    def __init__(self, value: Scalar | list[Node] | dict[str, Node], file: str, line: int) -> None:
        self.value = value
        self.file = file
        self.line = line

    @property
    def place(self) -> Place:
        """The file and line."""
        return Place(self.file, self.line)

    def copy(self) -> Node:
        """A deep copy: same places, nothing shared."""
        value = self.value
        if isinstance(value, dict):
            return Node({key: each.copy() for key, each in value.items()}, self.file, self.line)
        if isinstance(value, list):
            return Node([each.copy() for each in value], self.file, self.line)
        return Node(value, self.file, self.line)

    def plain(self) -> Plain:
        """The value without its places."""
        value = self.value
        if isinstance(value, dict):
            return {key: each.plain() for key, each in value.items()}
        if isinstance(value, list):
            return [each.plain() for each in value]
        return value

    def scalars(self, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Node]]:
        """Every scalar below, with its path."""
        value = self.value
        if isinstance(value, dict):
            for key, each in value.items():
                yield from each.scalars((*path, key))
        elif isinstance(value, list):
            for index, each in enumerate(value):
                yield from each.scalars((*path, index))
        else:
            yield path, self

    def __repr__(self) -> str:
        return f"Node({self.plain()!r}, {self.file}:{self.line})"
