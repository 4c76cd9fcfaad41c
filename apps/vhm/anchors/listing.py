"""Reading what an owner has, newest first, without asking a question."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from vhm.anchors.payload import Row
from vhm.anchors.scope import Scope
from vhm.contract.messages import Where, checked_moment


class CursorError(ValueError):
    """A cursor that none of our pages gave. One line."""


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a page ended: the moment of its last anchor and the id of that anchor's point. Anchors of one
    moment follow one another by the ids of their points."""

    stored_at: datetime
    point_id: str

    def encode(self) -> str:
        """As it stands in an address."""
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")


def decode_cursor(text: str) -> Cursor:
    """The cursor that `encode` wrote. Raises CursorError."""
    try:
        data = base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4))
        cursor = msgspec.json.decode(data, type=Cursor)
        return Cursor(checked_moment(cursor.stored_at), str(uuid.UUID(cursor.point_id)))
    except (ValueError, UnicodeError):  # msgspec's errors and base64's are ValueErrors
        raise CursorError("cursor: not one that a page ended with") from None


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """Which anchors of a scope: said from `since` on and before `until`, with `where` of their meta and
    `text` in theirs; those after `cursor`, at most `limit`."""

    scope: Scope
    since: datetime | None = None
    until: datetime | None = None
    where: Where = msgspec.field(default_factory=dict)
    text: str = ""
    cursor: Cursor | None = None
    limit: int = 100


class AnchorReader(Protocol):
    """Reads a collection. Everything raises StoreUnavailableError."""

    async def get(self, scope: Scope, anchor_id: uuid.UUID) -> Row | None:
        """One anchor; None where its owner has none of that id."""
        ...

    async def page(self, listing: Listing) -> list[Row]:
        """Anchors by (stored_at, id of the point), the newest first."""
        ...

    async def owners(self) -> list[str]:
        """Who has anchors, by name, as far as they can be told: up to 1 000."""
        ...

    async def close(self) -> None:
        """Let go of it."""
        ...


def after(listing: Listing, rows: Sequence[Row]) -> Cursor | None:
    """The cursor of what follows a page; None where nothing does."""
    if len(rows) < listing.limit:
        return None
    last = rows[-1]
    return Cursor(last.content.stored_at, str(listing.scope.point_id(last.anchor_id)))
