"""Values of a YAML stream, each with the line that wrote it."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.documents.scalars import Scalar, as_key
from preflight.findings import Place

Plain = Scalar | list["Plain"] | dict[str, "Plain"]


class Node:
    """A value and where it is written.

    `value` is a scalar, a list of nodes, or a dict of nodes by key. `line` (from 1) is a scalar's own; of a
    mapping or list that is a key's value it is the key's. `block` is True for a `|` scalar, whose text
    starts on the next line.
    """

    __slots__ = ("block", "file", "line", "value")

    def __init__(
        self, value: Scalar | list[Node] | dict[str, Node], file: str, line: int, block: bool = False
    ) -> None:
        self.value = value
        self.file = file
        self.line = line
        self.block = block

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
            return Node([item.copy() for item in value], self.file, self.line)
        return Node(value, self.file, self.line, self.block)

    def get(self, *path: str | int) -> Node | None:
        """The node at `path`, None where a step is absent."""
        node = self
        for step in path:
            inner = node.value
            # two branches, so that types narrow in each
            if isinstance(step, str) and isinstance(inner, dict) and step in inner:  # noqa: SIM114
                node = inner[step]
            elif isinstance(step, int) and isinstance(inner, list) and -len(inner) <= step < len(inner):
                node = inner[step]
            else:
                return None
        return node

    def items(self, *path: str | int) -> list[Node]:
        """The items of the list at `path`, none where there is no list."""
        node = self.get(*path)
        return node.value if node is not None and isinstance(node.value, list) else []

    def entries(self, *path: str | int) -> dict[str, Node]:
        """The entries of the mapping at `path`, none where there is no mapping."""
        node = self.get(*path)
        return node.value if node is not None and isinstance(node.value, dict) else {}

    def text(self, *path: str | int) -> str:
        """The scalar at `path` as text, empty where there is none."""
        node = self.get(*path)
        if node is None or node.value is None or isinstance(node.value, dict | list):
            return ""
        return node.value if isinstance(node.value, str) else as_key(node.value)

    def plain(self) -> Plain:
        """The value without its places."""
        value = self.value
        if isinstance(value, dict):
            return {key: each.plain() for key, each in value.items()}
        if isinstance(value, list):
            return [item.plain() for item in value]
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


def split_list(document: Node) -> list[Node]:
    """The objects of one document: the items of a `List` kind, else the document itself."""
    if document.text("kind").endswith("List") and isinstance(document.entries().get("items"), Node):
        return [item for item in document.items("items") if isinstance(item.value, dict)]
    return [document] if isinstance(document.value, dict) else []
