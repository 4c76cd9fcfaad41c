"""An object on its way through a kustomization tree, and how entries select objects."""

from __future__ import annotations

import re
from collections.abc import Mapping

from preflight.cluster.kinds import CLUSTER_SCOPED
from preflight.documents.node import Node
from preflight.documents.scalars import Scalar
from preflight.findings import Place


class Resource:
    """One object: its nodes, the names it has had, and whether its name will get a hash."""

    def __init__(self, node: Node, origin: Place) -> None:
        self.node = node
        self.origin = origin
        self.hashed = False
        self.names: list[tuple[str, str]] = [(self.namespace, self.name)]
        self.deleted = False

    @property
    def kind(self) -> str:
        """Its kind."""
        return self.node.text("kind")

    @property
    def api_version(self) -> str:
        """Its apiVersion."""
        return self.node.text("apiVersion")

    @property
    def name(self) -> str:
        """Its name as it is now."""
        return self.node.text("metadata", "name")

    @property
    def namespace(self) -> str:
        """Its namespace as it is now: `default` where none is given, empty where the kind has none."""
        if self.kind in CLUSTER_SCOPED:
            return ""
        return self.node.text("metadata", "namespace") or "default"

    @property
    def ref(self) -> str:
        """`Kind/name`."""
        return f"{self.kind}/{self.name}"

    def remember(self) -> None:
        """Keep the present name as one it has had, so that later entries may use any of them."""
        if (self.namespace, self.name) not in self.names:
            self.names.append((self.namespace, self.name))

    def known_as(self, namespace: str, name: str) -> bool:
        """Whether it has, or once had, this name."""
        return (namespace, name) in self.names or (namespace, name) == (self.namespace, self.name)

    def pairs(self, field: str) -> dict[str, str]:
        """Its `labels` or `annotations`."""
        return {key: str(each.value) for key, each in self.node.entries("metadata", field).items()}


def put(node: Node, path: tuple[str, ...], value: Scalar, place: Place) -> None:
    """Write a scalar below a mapping, making the mappings between; does nothing through other shapes."""
    for step in path[:-1]:
        if not isinstance(node.value, dict):
            return
        inner = node.value.get(step)
        if inner is None or inner.value is None:
            inner = node.value[step] = Node({}, place.file, place.line)
        node = inner
    if isinstance(node.value, dict):
        node.value[path[-1]] = Node(value, place.file, place.line)


_QUANTIFIER = re.compile(r"(?<!\\)[*+?{]")
_GROUP_REPEATED = re.compile(r"\)[*+?{]|\\[1-9]|\(\?[^:]")


def anchored(pattern: str) -> re.Pattern[str] | None:
    """A selector's regular expression, matched whole; None where it is invalid or could take for ever.

    Go's expressions run in linear time and Python's do not: repeated groups and more than three
    quantifiers are not followed.
    """
    if _GROUP_REPEATED.search(pattern) or len(_QUANTIFIER.findall(pattern)) > 3 or len(pattern) > 500:
        return None
    try:
        return re.compile(f"(?:{pattern})\\Z")
    except re.error:
        return None


class Untraced(Exception):
    """An entry whose effect is not worked out here; kustomize's own render decides."""


class Selector:
    """The `target` of a patch or `select` of a replacement: all given fields must match."""

    FIELDS = ("group", "version", "kind", "name", "namespace")

    def __init__(self, node: Node) -> None:
        self.patterns: dict[str, re.Pattern[str]] = {}
        for field in self.FIELDS:
            text = node.text(field)
            if not text:
                continue
            pattern = anchored(text)
            if pattern is None:
                raise Untraced
            self.patterns[field] = pattern
        self.terms = {
            "labels": _label_terms(node.text("labelSelector")),
            "annotations": _label_terms(node.text("annotationSelector")),
        }
        given = [node.text("kind"), node.text("name")]
        self.words = "/".join(each for each in given if each) or "everything selected by labels"

    def matches(self, resource: Resource) -> bool:
        """Whether it selects this object, by any name it has had."""
        group, _, version = resource.api_version.rpartition("/")
        plain = {"group": group, "version": version, "kind": resource.kind}
        if not all(self._fits(field, text) for field, text in plain.items()):
            return False
        names = [*resource.names, (resource.namespace, resource.name)]
        if not any(self._fits("name", name) for _, name in names):
            return False
        if not any(self._fits("namespace", namespace) for namespace, _ in names):
            return False
        return all(
            _holds(term, resource.pairs(field)) for field, terms in self.terms.items() for term in terms
        )

    def _fits(self, field: str, text: str) -> bool:
        pattern = self.patterns.get(field)
        return pattern is None or pattern.match(text[:1000]) is not None


_TERM = re.compile(r"\s*(?P<no>!?)(?P<key>[^\s!=,()]+)\s*(?:(?P<op>==?|!=)\s*(?P<value>[^\s!=,()]*)\s*)?")


def _label_terms(text: str) -> list[re.Match[str]]:
    """The terms of a label selector in its string form: `a=b,c!=d,e,!f`."""
    terms = [_TERM.fullmatch(part) for part in text.split(",")] if text else []
    if None in terms:
        raise Untraced
    return [term for term in terms if term is not None]


def _holds(term: re.Match[str], labels: Mapping[str, str]) -> bool:
    found = labels.get(term["key"])
    if term["op"] is None:
        return (found is None) == bool(term["no"])
    return (found == term["value"]) == (term["op"] != "!=")
