"""An anchor as the payload of a point, and back: `{text, stored_at, salience, meta}`.

Other programs write points too, so what is read may lack a field or hold another type.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from vhm.contract.messages import Anchor, checked_moment

MODEL_KEY = "vhm_model"
"""The payload key, and the collection's metadata key, that name the embedding model."""

_JSON_INTEGERS = range(-(2**63), 2**64)


def to_payload(anchor: Anchor, model: str) -> dict[str, Any]:
    """The payload of the anchor's point, embedded by `model`."""
    return {
        "text": anchor.text,
        "stored_at": anchor.stored_at.isoformat(),
        "salience": anchor.salience,
        "meta": anchor.meta,
        MODEL_KEY: model,
    }


class Content(msgspec.Struct, frozen=True):
    """What a point remembers. `meta` is as the store gives it back."""

    text: str
    stored_at: datetime
    salience: float = 1.0
    meta: dict[str, Any] = {}

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "stored_at", checked_moment(self.stored_at))


class Row(msgspec.Struct, frozen=True):
    """An anchor as a collection holds it, with its embedding where that is a single dense one."""

    anchor_id: uuid.UUID
    content: Content
    vector: NDArray[np.float32] | None


def from_payload(payload: Mapping[str, Any] | None) -> Content | None:
    """The content of a point, or None where the payload is not that of an anchor."""
    known = {key: value for key, value in (payload or {}).items() if value is not None}
    try:
        return msgspec.convert(known, Content)
    except msgspec.ValidationError:
        return None


def to_anchor(row: Row) -> Anchor:
    """The anchor itself."""
    content = row.content
    return Anchor(
        anchor_id=row.anchor_id,
        text=content.text,
        stored_at=content.stored_at,
        salience=content.salience,
        meta=content.meta,
    )


def same(anchor: Anchor, content: Content | None) -> bool:
    """Whether the point with the anchor's id already holds just this anchor."""
    return (
        content is not None
        and content.text == anchor.text
        and content.stored_at == anchor.stored_at
        and content.salience == anchor.salience
        and _plain(content.meta) == _plain(anchor.meta)
    )


def point_id(value: object) -> uuid.UUID | None:
    """The anchor_id of a point, or None where its id is no UUID (another program's number)."""
    try:
        return uuid.UUID(str(value))
    except ValueError:
        return None


def dense(vector: object) -> NDArray[np.float32] | None:
    """The unnamed vector; a point with others beside it carries it under the empty name."""
    if isinstance(vector, dict):
        vector = vector.get("")
    return np.asarray(vector, dtype=np.float32) if isinstance(vector, list) else None


def _plain(value: Any) -> Any:
    """`value` so that equal means the same JSON: true is not 1, and integers beyond 64 bits are floats,
    as which stores keep them."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, bool):
        return ("true" if value else "false",)
    if isinstance(value, int) and value not in _JSON_INTEGERS:
        try:
            return float(value)
        except OverflowError:
            return value
    return value
