"""YAML as kustomize and kubectl read it, with the line of every value, safe on hostile input.

Scalars resolve as in sigs.k8s.io/yaml (go-yaml v2): `yes`, `on` and `y` are booleans, `22:22`, `=` and
dates are strings. Size, nesting, and what aliases expand to are bounded.
"""

from __future__ import annotations

import gc
from typing import Any

import msgspec
import yaml

from preflight.documents.node import Node
from preflight.documents.scalars import Scalar, as_key, resolve, tagged
from preflight.findings import CheckError, Place

MOST_BYTES = 32 * 1024 * 1024
"""Of one stream. A rendered cluster of 2 000 objects has about 4 MB."""
MOST_DEPTH = 200
MOST_ALIASED = 200_000
"""Values that aliases may add to a stream: an alias bomb has millions."""


class YamlError(CheckError):
    """A stream that is not YAML or is beyond the bounds; the text is `file:line: what`."""

    def __init__(self, file: str, line: int, problem: str) -> None:
        super().__init__(f"{file}:{line}: {problem}")
        self.place = Place(file, line)
        self.problem = problem


class Duplicate(msgspec.Struct, frozen=True):
    """A key written twice in one mapping; YAML readers differ in which one counts."""

    key: str
    first: Place
    second: Place


class Stream(msgspec.Struct):
    """The documents of one stream; empty and null ones are left out."""

    documents: list[Node]
    duplicates: list[Duplicate]


def parse(data: bytes, file: str, first_line: int = 1) -> Stream:
    """Read a stream; raises `YamlError`. `file` and `first_line` are what the places will say.

    A byte order mark and CRLF line ends are accepted as kustomize accepts them.
    """
    if len(data) > MOST_BYTES:
        raise YamlError(file, 1, f"{len(data) // 1_000_000} MB of YAML; more than 33 MB are not read")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise YamlError(file, line, f"not UTF-8 (byte 0x{data[error.start]:02x})") from None
    return _Composer(file, first_line).compose(text)


class _Frame:
    """An open mapping or list."""

    __slots__ = ("anchor", "key", "key_line", "keys", "merges", "node", "waits")

    def __init__(self, node: Node, anchor: str | None) -> None:
        self.node = node
        self.anchor = anchor
        self.waits = True
        self.key = ""
        self.key_line = 0
        self.keys: dict[str, int] = {}
        self.merges: list[Node] = []


class _Composer:
    """Builds nodes from the C parser's events, without recursion."""

    def __init__(self, file: str, first_line: int) -> None:
        self.file = file
        self.first = first_line
        self.stream = Stream([], [])
        self.anchors: dict[str, tuple[Node, int]] = {}
        self.stack: list[_Frame] = []
        self.aliased = 0

    def compose(self, text: str) -> Stream:
        collecting = gc.isenabled()
        gc.disable()  # nothing here is garbage: each collection would walk all nodes made so far for nothing
        try:
            for event in iter(yaml.CSafeLoader(text).get_event, None):
                self._event(event)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + self.first if mark else self.first
            raise YamlError(self.file, line, _problem(error, text, mark)) from None
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + self.first
            raise YamlError(self.file, line, f"a control character ({error.character!r})") from None
        except yaml.YAMLError as error:
            raise YamlError(self.file, self.first, str(error).partition("\n")[0]) from None
        finally:
            if collecting:
                gc.enable()
        return self.stream

    def _event(self, event: Any) -> None:
        kind = type(event)
        if kind is yaml.ScalarEvent:
            line = event.start_mark.line + self.first
            frame = self.stack[-1] if self.stack else None
            if frame is not None and frame.waits and frame.node.value.__class__ is dict:
                self._key(frame, _key_text(event), line, event.style == "" and event.value == "<<")
                return
            node = Node(_meaning(event), self.file, line, event.style == "|")
            if event.anchor:
                self.anchors[event.anchor] = (node, 1)
            self._add(node)
        elif kind is yaml.MappingStartEvent:
            self._open(Node({}, self.file, event.start_mark.line + self.first), event)
        elif kind is yaml.SequenceStartEvent:
            self._open(Node([], self.file, event.start_mark.line + self.first), event)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._close()
        elif kind is yaml.AliasEvent:
            self._alias(event)
        elif kind is yaml.DocumentStartEvent:
            self.anchors = {}

    def _key(self, frame: _Frame, key: str, line: int, merge: bool) -> None:
        if key in frame.keys and not merge:
            first = Place(self.file, frame.keys[key])
            self.stream.duplicates.append(Duplicate(key, first, Place(self.file, line)))
        frame.keys[key] = line
        frame.key, frame.key_line, frame.waits = key, line, False

    def _open(self, node: Node, event: Any) -> None:
        if len(self.stack) >= MOST_DEPTH:
            raise YamlError(self.file, node.line, f"nested deeper than {MOST_DEPTH} levels")
        if self.stack:
            frame = self.stack[-1]
            if frame.waits and isinstance(frame.node.value, dict):
                raise YamlError(self.file, node.line, "a mapping or list as a key")
            if isinstance(frame.node.value, dict):
                node.line = frame.key_line
        if event.anchor:
            self.anchors.pop(event.anchor, None)
        self.stack.append(_Frame(node, event.anchor))

    def _close(self) -> None:
        frame = self.stack.pop()
        node = frame.node
        for merged in frame.merges:
            if isinstance(merged.value, dict) and isinstance(node.value, dict):
                for key, each in merged.value.items():
                    node.value.setdefault(key, each)
        if frame.anchor:
            self.anchors[frame.anchor] = (node, sum(1 for _ in node.scalars()) + 1)
        self._add(node)

    def _alias(self, event: Any) -> None:
        line = event.start_mark.line + self.first
        known = self.anchors.get(event.anchor)
        if known is None:
            within = any(frame.anchor == event.anchor for frame in self.stack)
            why = "stands inside its own anchor" if within else "has no anchor before it"
            raise YamlError(self.file, line, f"alias *{event.anchor} {why}")
        node, size = known
        self.aliased += size
        if self.aliased > MOST_ALIASED:
            raise YamlError(self.file, line, f"aliases expand to more than {MOST_ALIASED} values")
        frame = self.stack[-1] if self.stack else None
        if frame is not None and frame.waits and isinstance(frame.node.value, dict):
            if isinstance(node.value, dict | list):
                raise YamlError(self.file, line, "a mapping or list as a key")
            self._key(frame, as_key(node.value), line, False)
            return
        self._add(node.copy())

    def _add(self, node: Node) -> None:
        if not self.stack:
            if node.value is not None:
                self.stream.documents.append(node)
            return
        frame = self.stack[-1]
        inner = frame.node.value
        if isinstance(inner, list):
            inner.append(node)
        elif isinstance(inner, dict):
            frame.waits = True
            if frame.key == "<<" and isinstance(node.value, dict | list):
                frame.merges += node.value if isinstance(node.value, list) else [node]
            else:
                inner[frame.key] = node


def _key_text(event: Any) -> str:
    """A key as JSON will have it: numbers and booleans become strings."""
    return event.value if event.style or event.value == "<<" else as_key(_meaning(event))


def _meaning(event: Any) -> Scalar:
    if event.tag is not None:
        return tagged(event.value, event.tag, event.style == "")
    return event.value if event.style else resolve(event.value)


def _problem(error: yaml.MarkedYAMLError, text: str, mark: Any) -> str:
    if mark and mark.index < len(text) and text[mark.index] == "\t":
        return "a tab where YAML wants spaces"
    context = f" {error.context}" if error.context and error.problem else ""
    return f"not YAML: {error.problem or ''}{context}"
