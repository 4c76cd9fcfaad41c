"""What the reading of a kustomization tree leaves behind."""

from __future__ import annotations

from typing import Literal

import msgspec

from preflight.findings import Place

EditKind = Literal["image", "patch", "replica", "replacement", "generator", "label", "annotation"]


class Edit(msgspec.Struct, kw_only=True):
    """One entry of a kustomization that changes objects, and what it matched."""

    kind: EditKind
    place: Place
    """The entry's own line."""
    field: str
    """Its path in the kustomization file: `images[0]`, `patches[2]`."""
    wants: str
    """What it looks for, in words: `image vhm/worker`, `Deployment/indexer`."""
    matched: list[str] = msgspec.field(default_factory=list)
    """`Kind/name` of each object it matched."""
    unmatched: list[tuple[str, Place]] = msgspec.field(default_factory=list)
    """Parts of it that met nothing, each with its line: a field path, a key that the base lacks."""


class Tree(msgspec.Struct, kw_only=True):
    """A kustomization and everything below it."""

    files: list[str] = msgspec.field(default_factory=list)
    """Every file read, relative to the repository root."""
    edits: list[Edit] = msgspec.field(default_factory=list)
