"""An anchor as the payload of a point, and back: `{text, stored_at, salience, meta}` and keys of our own.

Other programs write points too, so what is read may lack a field or hold another type. Keys of our own begin
with `vhm_`: the model, the shape of the sparse vector, for owners other than "" the owner and the id of the
anchor (that of the point is another one, see `Scope.point_id`), the timestamp of the record that wrote it,
what it supersedes, by what and since when it is superseded, and when it expires.
"""

from __future__ import annotations

import functools
import math
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from vhm.anchors.scope import Scope
from vhm.contract.messages import Anchor, Where, checked_moment, session_of
from vhm.memory.anchor_terms import TurnTerms, turn_terms

MODEL_KEY = "vhm_model"
"""The payload key, and the collection's metadata key, that name the embedding model."""

SHAPE_KEY = "vhm_shape"
"""The payload key of a point whose sparse vector is there: which rules it was made by."""

SHAPE = 2
"""The rules of `memory.anchor_terms`. Points without a shape have the words of their own text alone, or
none."""

OWNER_KEY, ANCHOR_ID_KEY = "vhm_owner", "vhm_anchor_id"
WRITTEN_KEY = "vhm_written"
SUPERSEDES_KEY, EXPIRES_KEY = "vhm_supersedes", "vhm_expires_at"
SUPERSEDED_AT_KEY, SUPERSEDED_BY_KEY = "vhm_superseded_at", "vhm_superseded_by"

_JSON_INTEGERS = range(-(2**63), 2**64)

_SAME_FLOAT = 1e-14
"""Relative difference that a float may take on between being written and being read."""


class Content(msgspec.Struct, frozen=True):
    """What a point remembers. `meta` is as the store gives it back; `written` is the timestamp of the record
    that wrote it, in milliseconds, where that is known."""

    text: str
    stored_at: datetime
    salience: float = 1.0
    meta: dict[str, Any] = {}
    owner: str = msgspec.field(default="", name=OWNER_KEY)
    supersedes: list[uuid.UUID] = msgspec.field(default_factory=list, name=SUPERSEDES_KEY)
    expires_at: datetime | None = msgspec.field(default=None, name=EXPIRES_KEY)
    written: int | None = msgspec.field(default=None, name=WRITTEN_KEY)
    superseded_at: datetime | None = msgspec.field(default=None, name=SUPERSEDED_AT_KEY)
    superseded_by: uuid.UUID | None = msgspec.field(default=None, name=SUPERSEDED_BY_KEY)

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "stored_at", checked_moment(self.stored_at))

    @property
    def scope(self) -> Scope:
        """Whose memory it is."""
        return Scope(self.owner)

    @property
    def session(self) -> str | None:
        """The session it was said in, where `meta` names one."""
        return session_of(self.meta)

    def matches(self, where: Where) -> bool:
        """Whether its meta holds just these values; a list holds none, and 1 is neither 1.0 nor true."""
        return all(
            type(held := self.meta.get(key)) is type(value) and held == value for key, value in where.items()
        )

    def terms(self) -> TurnTerms:
        """What it puts into sparse vectors."""
        named = self.meta.get("speaker")
        return turn_terms(self.text, self.stored_at, named if isinstance(named, str) else None)


class Row(msgspec.Struct, frozen=True, dict=True):  # a dict: for what is cached
    """An anchor as a collection holds it, with its embedding where that is a single dense one."""

    anchor_id: uuid.UUID
    content: Content
    vector: NDArray[np.float32] | None = None

    @functools.cached_property
    def point_id(self) -> str:
        """The id of its point, which no other anchor of any owner has."""
        return str(self.content.scope.point_id(self.anchor_id))


def from_anchor(anchor: Anchor, vector: NDArray[np.float32] | None, written: int | None) -> Row:
    """The anchor as a collection will hold it, of a record with the timestamp `written`."""
    content = Content(
        anchor.text,
        anchor.stored_at,
        anchor.salience,
        anchor.meta,
        anchor.owner,
        supersedes=anchor.supersedes,
        expires_at=anchor.expires_at,
        written=written,
    )
    return Row(anchor.anchor_id, content, vector)


def to_payload(row: Row, model: str, shape: int | None = None) -> dict[str, Any]:
    """The payload of an anchor's point, embedded by `model`; `shape` where it has a sparse vector."""
    content = row.content
    payload: dict[str, Any] = {
        "text": content.text,
        "stored_at": content.stored_at.isoformat(),
        "salience": content.salience,
        "meta": content.meta,
        MODEL_KEY: model,
    }
    if shape is not None:
        payload[SHAPE_KEY] = shape
    if content.owner:
        payload |= {OWNER_KEY: content.owner, ANCHOR_ID_KEY: str(row.anchor_id)}
    if content.written is not None:
        payload[WRITTEN_KEY] = content.written
    if content.supersedes:
        payload[SUPERSEDES_KEY] = [str(older) for older in content.supersedes]
    if content.expires_at is not None:
        payload[EXPIRES_KEY] = content.expires_at.isoformat()
    return payload


def to_row(point_id: object, payload: Mapping[str, Any] | None, vector: object = None) -> Row | None:
    """The anchor that a point is, or None where it is none: another program's, or one under an id that is
    not its own."""
    known = {key: value for key, value in (payload or {}).items() if value is not None}
    try:
        content = msgspec.convert(known, Content)
        row = Row(
            uuid.UUID(str(known.get(ANCHOR_ID_KEY) if content.owner else point_id)), content, dense(vector)
        )
    except ValueError:  # msgspec's error is one
        return None
    return row if row.point_id == str(point_id) else None


def to_anchor(row: Row) -> Anchor:
    """The anchor itself."""
    content = row.content
    return Anchor(
        anchor_id=row.anchor_id,
        text=content.text,
        stored_at=content.stored_at,
        salience=content.salience,
        meta=content.meta,
        owner=content.owner,
        supersedes=content.supersedes,
        expires_at=content.expires_at,
    )


def same(content: Content, held: Content | None, *, filled: bool = False) -> bool:
    """Whether the point with an anchor's id already holds just its content. `filled`: its stored_at was only
    filled in and does not count."""
    return (
        held is not None
        and held.text == content.text
        and (filled or held.stored_at == content.stored_at)
        and held.expires_at == content.expires_at
        and set(held.supersedes) == set(content.supersedes)
        and _alike(held.salience, content.salience)
        and _alike(held.meta, content.meta)
    )


def dense(vector: object) -> NDArray[np.float32] | None:
    """The unnamed vector; a point with others beside it carries it under the empty name."""
    if isinstance(vector, np.ndarray):
        return vector
    if isinstance(vector, Mapping):
        vector = vector.get("")
    return np.asarray(vector, dtype=np.float32) if isinstance(vector, list) else None


def _alike(one: Any, other: Any) -> bool:
    """Whether both are the same JSON. True is not 1; a number that is no 64-bit integer is a float, and two
    floats are the same unless they differ by more than the last digits: Qdrant reads every eighth of those
    with 17 digits as its neighbour."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_alike(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, int | float) and isinstance(other, int | float):
        if isinstance(one, int) and isinstance(other, int) and _exact(one) and _exact(other):
            return one == other
        try:
            return math.isclose(one, other, rel_tol=_SAME_FLOAT)
        except OverflowError:
            return one == other
    return bool(one == other)


def _exact(number: int) -> bool:
    """Beyond 64 bits an integer is kept as a float."""
    return number in _JSON_INTEGERS
