"""Values that a later tool fills in: Flux's variables, templates' expressions, what SOPS has encrypted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from preflight.cluster.objects import Obj, Unfilled, node_at
from preflight.documents.node import Node
from preflight.documents.paths import Step, walk
from preflight.documents.scalars import resolve
from preflight.findings import Place
from preflight.render.envsubst import expand
from preflight.render.flux import GROUP, FluxKustomization

PLACEHOLDER = re.compile(r"\$\{[^}]*\}|(?<!\w)__[A-Z][A-Z0-9_]*?__(?!\w)|\{\{.*?\}\}|<[A-Za-z][\w .-]*>")
ENCRYPTED = "ENC["
SCRIPTS = ("args", "command", "data", "stringData", "value")
"""Fields whose texts are programs' own: `${name}` in them is the shell's unless Flux fills them in."""
ASSIGNED = r"(?m)(?:^|[\s;({{])(?:{0}=|(?:for|read|local|export)\s+{0}\b)"
"""How a script sets a variable of its own."""
OPTION = f"{GROUP}/substitute"


def filled(obj: Obj, flux: FluxKustomization | None) -> Obj:
    """The object as it is applied, as far as that is known here.

    `flux` is the Kustomization that applies it, where it is known. Encrypted values lose nothing but their
    meaning: their keys hold.
    """
    doc, source = obj.doc, obj.source
    encrypted = _is_encrypted(doc)
    if encrypted:
        doc = {key: value for key, value in doc.items() if key != "sops"}
    unfilled: list[Unfilled] = []
    uncertain: set[tuple[Step, ...]] = set()
    fills = flux is not None and _fills(flux, obj)
    if flux is not None and fills:
        expansion = _Expansion(flux, obj)
        doc = expansion.value(doc, source, ())
        unfilled, uncertain = expansion.unfilled, expansion.uncertain
    uncertain |= {
        path
        for path, value in (walk(doc) if obj.kind != "CustomResourceDefinition" else ())
        if isinstance(value, str)
        and ((encrypted and value.startswith(ENCRYPTED)) or _is_placeholder(path, value, scripts=fills))
    }
    if not uncertain and not unfilled and doc is obj.doc:
        return obj
    new = Obj(cast("dict[str, Any]", doc), source, obj.origin)
    new.uncertain, new.unfilled = frozenset(uncertain), tuple(unfilled)
    return new


def _is_encrypted(doc: Mapping[str, Any]) -> bool:
    sops = doc.get("sops")
    return isinstance(sops, dict) and ("mac" in sops or "lastmodified" in sops)


def _is_placeholder(path: tuple[Step, ...], value: str, *, scripts: bool) -> bool:
    return PLACEHOLDER.search(value) is not None and (scripts or not any(step in SCRIPTS for step in path))


def _fills(flux: FluxKustomization, obj: Obj) -> bool:
    """Whether the controller expands this object's variables at all."""
    if "disabled" in (obj.labels.get(OPTION), obj.annotations.get(OPTION)):
        return False
    return flux.substitutes and (flux.always or bool(flux.variables) or not flux.complete)


class _Expansion:
    """Fills in one object, its source with it, so that lines stay known."""

    def __init__(self, flux: FluxKustomization, obj: Obj) -> None:
        self.variables = flux.variables
        self.complete = flux.complete
        self.certain = flux.always or bool(flux.variables)
        self.origin = obj.origin
        self.unfilled: list[Unfilled] = []
        self.uncertain: set[tuple[Step, ...]] = set()

    def value(self, value: Any, node: Node | None, path: tuple[Step, ...]) -> Any:
        if isinstance(value, dict):
            return {
                key: self.value(inner, _below(node, value, key), (*path, key)) for key, inner in value.items()
            }
        if isinstance(value, list):
            return [
                self.value(inner, _below(node, value, index), (*path, index))
                for index, inner in enumerate(value)
            ]
        if not isinstance(value, str) or "$" not in value:
            return value
        expanded = expand(value, self.variables)
        if not expanded.known:
            self.uncertain.add(path)
        place = node.place if node is not None and node.value == value else None
        if expanded.malformed is not None and self.certain:
            self._note("", value, expanded.malformed, node, place, path)
        for each in expanded.unset:
            if self.complete or re.search(ASSIGNED.format(each.name), value):
                self._note(each.name, value, each.offset, node, place, path)
        new = value if expanded.text == value else _meaning(expanded.text)
        if node is not None and place is not None:
            node.value = new
        return new

    def _note(
        self,
        name: str,
        text: str,
        offset: int,
        node: Node | None,
        place: Place | None,
        path: tuple[Step, ...],
    ) -> None:
        if node is not None and place is not None:
            line = place.line + text.count("\n", 0, offset) + node.block if "\n" in text else place.line
            place = Place(place.file, line)
        self.unfilled.append(Unfilled(path, name, place or self.origin, self.complete or not name))


def _below(node: Node | None, value: Any, step: Step) -> Node | None:
    return node_at(node, value, step) if node is not None else None


def _meaning(text: str) -> Any:
    """What the text means once it is written as YAML without quotes, as the controller reads it again."""
    if (
        "\n" in text
        or text != text.strip()
        or ": " in text
        or " #" in text
        or text[:1] in "'\"[]{}&*!|>%@`#,?-"
    ):
        return text
    return resolve(text) if text else None
