"""One Kubernetes object of the render, and where each of its values is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec

from preflight.cluster.kinds import CLUSTER_SCOPED
from preflight.documents.node import Node
from preflight.documents.paths import Step, dig, dotted, list_at, strings
from preflight.findings import Place


class Located:
    """A part of an object that knows where it stands: an `Obj`, `Workload`, `Container`, `Service`, `Field`.

    `path` leads to it in the document of `obj`, `doc` is the value there, `container_name` is empty for what
    is in no container. Paths that its methods take are below it.
    """

    obj: Obj
    doc: Any
    path: tuple[Step, ...] = ()
    container_name: str = ""

    def get(self, *path: Step, default: Any = None) -> Any:
        """The value at `path`, or `default` where a step is absent, null, or of another shape."""
        return dig(self.doc, *path, default=default)

    def items(self, *path: Step) -> list[Any]:
        """The list at `path`, empty where there is none."""
        return list_at(self.doc, *path)

    def mapping(self, *path: Step) -> dict[str, Any]:
        """The mapping at `path`, empty where there is none."""
        value = self.get(*path)
        return value if isinstance(value, dict) else {}

    def where(self, *path: Step) -> Place:
        """The source line of the value at `path`; see `Obj.where`."""
        return self.obj.where(*self.path, *path)

    def field(self, *path: Step) -> Field:
        """The value at `path`, with its place."""
        return Field(self, path, self.get(*path))

    def fields(self, pattern: str) -> Iterator[Field]:
        """The values at `a.b.*.c`, where `*` is every item of a list; what is absent or null is left out."""
        found: list[tuple[tuple[Step, ...], Any]] = [((), self.doc)] if self.doc is not None else []
        for step in pattern.split("."):
            if step == "*":
                found = [
                    ((*path, index), item)
                    for path, value in found
                    if isinstance(value, list)
                    for index, item in enumerate(value)
                    if item is not None
                ]
            else:
                found = [
                    ((*path, step), value[step])
                    for path, value in found
                    if isinstance(value, dict) and value.get(step) is not None
                ]
            if not found:
                return
        for path, value in found:
            yield Field(self, path, value)


class Field(Located):
    """One value of an object's document: a port, an item of a list, a label's value."""

    def __init__(self, part: Located, path: tuple[Step, ...], value: Any) -> None:
        self.obj = part.obj
        self.path = (*part.path, *path)
        self.container_name = part.container_name
        self.doc = value

    def __repr__(self) -> str:
        return f"Field({self.obj.ref} {dotted(self.path)}: {self.doc!r})"


class Unfilled(msgspec.Struct, frozen=True):
    """An expression of a variable that Flux expands to nothing, or cannot read."""

    path: tuple[Step, ...]
    name: str
    """The variable's; empty where the expression cannot be read."""
    place: Place
    certain: bool = True
    """False where a source that is not seen here may set it, though the text looks like a script's."""


class Obj(Located):
    """An object as the API server gets it: `doc` is plain data, `source` the same values with their lines.

    `namespace` is empty for cluster-scoped kinds and `default` where the manifest names none.
    """

    def __init__(self, doc: dict[str, Any], source: Node | None, origin: Place) -> None:
        self.obj = self
        self.doc = doc
        self.source = source
        self.origin = origin
        self.uncertain: frozenset[tuple[Step, ...]] = frozenset()
        """Paths of values that only the cluster or a later tool knows: placeholders, encrypted ones."""
        self.unfilled: tuple[Unfilled, ...] = ()
        """Variables in it that Flux expands to nothing, or cannot expand."""
        self.api_version = _text(doc.get("apiVersion"))
        self.kind = _text(doc.get("kind"))
        metadata = doc.get("metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        self.name = _text(metadata.get("name")) or _text(metadata.get("generateName"))
        namespace = _text(metadata.get("namespace"))
        self.namespace = "" if self.kind in CLUSTER_SCOPED else namespace or "default"

    @property
    def ref(self) -> str:
        """`Kind/name`, as findings name it."""
        return f"{self.kind}/{self.name}"

    def is_uncertain(self, *path: Step) -> bool:
        """Whether the value at `path`, or one right below it, is a placeholder or encrypted."""
        return any(each[: len(path)] == path and len(each) <= len(path) + 1 for each in self.uncertain)

    @property
    def group(self) -> str:
        """The API group, empty for the core group."""
        return self.api_version.rpartition("/")[0]

    @cached_property
    def labels(self) -> dict[str, str]:
        """Its labels; what is no string is left out."""
        return strings(self.get("metadata", "labels"))

    @cached_property
    def annotations(self) -> dict[str, str]:
        """Its annotations; what is no string is left out."""
        return strings(self.get("metadata", "annotations"))

    def where(self, *path: Step) -> Place:
        """The source line of the value at `path`.

        The last writer of a scalar, if its value is the rendered one. For what is absent, the line of the
        container's `name:` if the path leads into a container, else of the nearest enclosing value whose
        source is known; in the end the object's first line in its origin file.
        """
        best = self.origin
        for step, node, value in self._trail(path):
            name = node_at(node, value, "name") if isinstance(step, int) else None
            named = name is not None and _agree(name, dig(value, "name"))
            best = name.place if name is not None and named else node.place
        return best

    def writer(self, *path: Step) -> Node | None:
        """The node that holds the value at `path`, None where its source is not known."""
        trail = list(self._trail(path))
        return trail[-1][1] if len(trail) == len(path) and trail else None

    def _trail(self, path: tuple[Step, ...]) -> Iterator[tuple[Step, Node, Any]]:
        """Each step of `path` with the source and the value there, as far as they agree."""
        node, value = self.source, self.doc
        for step in path:
            node = node_at(node, value, step) if node is not None else None
            value = dig(value, step)
            if node is None or value is None or not _agree(node, value):
                return
            yield step, node, value

    def __repr__(self) -> str:
        return f"Obj({self.ref} in {self.namespace or 'the cluster'}, {self.origin})"


class ObjectIndex:
    """Objects by kind, namespace and name."""

    def __init__(self, objects: Sequence[Obj]) -> None:
        self._objects = objects
        self._of_kinds: dict[tuple[str, ...], list[Obj]] = {}
        for obj in objects:
            self._of_kinds.setdefault((obj.kind,), []).append(obj)

    @cached_property
    def _by_name(self) -> dict[tuple[str, str, str], Obj]:
        return {(obj.kind, obj.namespace, obj.name): obj for obj in self._objects}

    def objects_of(self, *kinds: str) -> list[Obj]:
        """The objects of these kinds, in the render's order."""
        if kinds not in self._of_kinds:
            known = any((kind,) in self._of_kinds for kind in kinds)
            self._of_kinds[kinds] = [obj for obj in self._objects if obj.kind in kinds] if known else []
        return self._of_kinds[kinds]

    def find(self, kind: str, namespace: str, name: str) -> Obj | None:
        """The object of that kind and name; `namespace` is ignored for cluster-scoped kinds."""
        return self._by_name.get((kind, namespace, name)) or self._by_name.get((kind, "", name))


def selects(selector: object, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector (matchLabels, matchExpressions) selects these labels; {} selects all."""
    if not isinstance(selector, dict):
        return False
    wanted, expressions = selector.get("matchLabels"), selector.get("matchExpressions")
    wanted = wanted if isinstance(wanted, dict) else {}
    expressions = expressions if isinstance(expressions, list) else []
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(_holds(expression, labels) for expression in expressions if isinstance(expression, dict))


def _holds(expression: dict[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = str(expression.get("key")), expression.get("values")
    values = values if isinstance(values, list) else []
    match expression.get("operator"):
        case "In":
            return key in labels and labels[key] in values
        case "NotIn":
            return key not in labels or labels[key] not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    return False


def node_at(node: Node, value: Any, step: Step) -> Node | None:
    """The source one step below `node`, whose rendered value is `value`.

    A list's item is the one at the same index if it has the same key, else the one with that key.
    """
    inner = node.value
    if isinstance(step, str):
        return inner.get(step) if isinstance(inner, dict) else None
    if not isinstance(inner, list) or not isinstance(value, list) or not -len(value) <= step < len(value):
        return None
    wanted = value[step]
    if len(inner) == len(value) and _same_item(inner[step], wanted):
        return inner[step]
    return next((each for each in inner if _same_item(each, wanted)), None)


def _same_item(node: Node, value: Any) -> bool:
    if isinstance(value, dict) and isinstance(node.value, dict):
        for key in ("name", "mountPath", "containerPort", "port"):
            if key in value:
                inner = node.value.get(key)
                return inner is not None and inner.value == value[key]
        return True
    return _agree(node, value)


def _agree(node: Node, value: Any) -> bool:
    """Whether a source is of the rendered value's shape, and equal to it if it is a scalar."""
    inner = node.value
    if isinstance(value, dict | list) or isinstance(inner, dict | list):
        return type(inner) is type(value)
    return bool(inner == value and type(inner) is type(value))


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)
