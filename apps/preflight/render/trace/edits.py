"""What the reading of a kustomization tree leaves behind."""

from __future__ import annotations

from typing import Literal

import msgspec

from preflight.documents.parse import Duplicate
from preflight.findings import Place

EditKind = Literal["image", "patch", "replica", "replacement", "generator", "label", "annotation"]


class Missed(msgspec.Struct, frozen=True):
    """A part of an edit that met nothing."""

    what: str
    """In words: `target Deployment/indexer`, `key KAFKA_BOOTSTRAP_SERVER`."""
    place: Place
    object: str = ""
    """`Kind/name` of the object in which it met nothing, where it is about one object."""


class Edit(msgspec.Struct, kw_only=True):
    """One entry of a kustomization that changes objects, and what it matched."""

    kind: EditKind
    place: Place
    """The entry's own line."""
    file: str
    """The kustomization file that holds it."""
    field: str
    """Its path in that file: `images[0]`, `patches[2]`."""
    wants: str
    """What it looks for, in words: `image vhm/worker`, `Deployment/indexer`."""
    matched: list[str] = msgspec.field(default_factory=list)
    """`Kind/name` of each object it matched."""
    missed: list[Missed] = msgspec.field(default_factory=list)
    """Parts of it that met nothing."""
    keys: dict[str, Place] = msgspec.field(default_factory=dict)
    """Of a generator: the keys it writes."""
    name_of: str = ""
    """Of a replacement that copies the name of a generated object: that name, without its hash."""
    name_at: Place | None = None
    """Where that name is written."""
    deletes: bool = False
    """Whether it is a patch that deletes what it matches."""
    followed: bool = True
    """False where its effect was not worked out; then nothing is said about it."""


class Tree(msgspec.Struct, kw_only=True):
    """A kustomization and everything below it."""

    files: list[str]
    """Every file read, relative to the repository root."""
    edits: list[Edit]
    """Every entry that edits objects, in the order of application."""
    complete: bool
    """Whether every object is known: nothing remote, no plugin that may make or change objects."""
    duplicates: list[Duplicate]
    """Keys written twice in one mapping of a file read."""
