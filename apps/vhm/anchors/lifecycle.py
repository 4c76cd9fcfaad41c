"""What ends the life of anchors: tombstones of what was forgotten, marks of what was superseded.

Both are kept for ever, beside the anchors, and hold no text. They decide whichever comes first: a write that
arrives after its tombstone or its mark is treated as if it had come before.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import structlog

from vhm.anchors.errors import StoreUnavailableError
from vhm.anchors.payload import SUPERSEDED_AT_KEY, SUPERSEDED_BY_KEY, Content, Row, from_anchor, same
from vhm.anchors.types import Vectors, WriteOutcome
from vhm.contract.messages import Anchor, AnchorsForget

log = structlog.get_logger("vhm.anchors")

REMOVE_EXPIRED_EVERY_SECONDS = 600.0
"""What has expired is to be gone within the hour."""

SUPERSEDED_AFTER = timedelta(seconds=5)
"""How long after the newer anchor was said the older one is still recalled: until the newer one is."""


class Delivery(msgspec.Struct, frozen=True):
    """How a write came: the timestamp of its record, in milliseconds since 1970 (None: unknown, which is
    before any forgetting), and whether its stored_at was only filled in and is no part of the content."""

    written: int | None = None
    filled: bool = False


class Write(msgspec.Struct, frozen=True):
    """An anchor to store. `filled`: its stored_at is no part of the content."""

    row: Row
    filled: bool

    def outcome(self, held: Content | None) -> WriteOutcome:
        """What became of it, now that its point holds this."""
        alike = same(self.row.content, held, filled=self.filled)
        return WriteOutcome.STORED if alike else WriteOutcome.DIFFERENT


def writes(anchors: Sequence[Anchor], vectors: Vectors, deliveries: Sequence[Delivery] | None) -> list[Write]:
    """What `AnchorStore.add` is to store."""
    came = deliveries if deliveries is not None else [Delivery()] * len(anchors)
    return [
        Write(from_anchor(anchor, vector, delivery.written), delivery.filled)
        for anchor, vector, delivery in zip(anchors, vectors, came, strict=True)
    ]


class Tombstone(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="tombstone"
):
    """What an owner wants forgotten. One anchor, whenever it is written; or what was written up to
    `written`, the timestamp of the request's record: of a session, of before a moment, or everything."""

    owner: str
    written: int
    anchor_id: uuid.UUID | None = None
    session: str | None = None
    before: datetime | None = None

    def covers(self, row: Row) -> bool:
        """Whether it concerns an anchor. Where nobody knows when that was written, it was before."""
        content = row.content
        if self.owner != content.owner:
            return False
        if self.anchor_id is not None:
            return self.anchor_id == row.anchor_id
        if content.written is not None and content.written > self.written:
            return False
        if self.session is not None:
            return content.session == self.session
        return self.before is None or content.stored_at < self.before


class Mark(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="mark"):
    """An anchor's id that another one supersedes, from `since` on."""

    owner: str
    anchor_id: uuid.UUID
    by: uuid.UUID
    since: datetime


Entry = Tombstone | Mark


def tombstones(request: AnchorsForget, written: int) -> list[Tombstone]:
    """What a request, its record of that timestamp, wants forgotten."""
    if request.anchor_ids is not None:
        ids = dict.fromkeys(request.anchor_ids)
        return [Tombstone(owner=request.owner, written=written, anchor_id=one) for one in ids]
    return [Tombstone(owner=request.owner, written=written, session=request.session, before=request.before)]


def marks(row: Row) -> list[Mark]:
    """What an anchor supersedes."""
    since = row.content.stored_at + SUPERSEDED_AFTER
    return [
        Mark(owner=row.content.owner, anchor_id=older, by=row.anchor_id, since=since)
        for older in dict.fromkeys(row.content.supersedes)
    ]


class Entries:
    """Tombstones and marks by what they are looked up by."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._ids: set[tuple[str, uuid.UUID]] = set()
        self._bounds: dict[str, set[Tombstone]] = {}
        self._marks: dict[tuple[str, uuid.UUID], set[Mark]] = {}
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        """Take one in; one that is there already makes no difference."""
        if isinstance(entry, Mark):
            self._marks.setdefault((entry.owner, entry.anchor_id), set()).add(entry)
        elif entry.anchor_id is not None:
            self._ids.add((entry.owner, entry.anchor_id))
        else:
            self._bounds.setdefault(entry.owner, set()).add(entry)

    def forgotten(self, row: Row) -> bool:
        """Whether a tombstone concerns an anchor."""
        owner = row.content.owner
        return (owner, row.anchor_id) in self._ids or any(
            one.covers(row) for one in self._bounds.get(owner, ())
        )

    def superseded(self, owner: str, anchor_id: uuid.UUID) -> Mark | None:
        """The mark that counts for an anchor, the earliest; of several the one of the least id."""
        held = self._marks.get((owner, anchor_id))
        return min(held, key=lambda mark: (mark.since, mark.by)) if held else None

    def circular(self, row: Row) -> bool:
        """Whether an anchor supersedes one that supersedes it, directly or by way of others."""
        older = row.content.supersedes
        return bool(older) and not self._superseders(row.content.owner, row.anchor_id).isdisjoint(older)

    def _superseders(self, owner: str, anchor_id: uuid.UUID) -> set[uuid.UUID]:
        """The anchors that say they supersede this one, directly or by way of others."""
        found: set[uuid.UUID] = set()
        waiting = [anchor_id]
        while waiting:
            nearest = {mark.by for mark in self._marks.get((owner, waiting.pop()), ())} - found
            found |= nearest
            waiting += nearest
        return found


def payload_of(mark: Mark) -> dict[str, Any]:
    """What the point of a superseded anchor says of it."""
    return {SUPERSEDED_AT_KEY: mark.since.isoformat(), SUPERSEDED_BY_KEY: str(mark.by)}


def expired(content: Content, now: float) -> bool:
    """Whether an anchor expires at `now`, in seconds since 1970, or did before."""
    return content.expires_at is not None and content.expires_at.timestamp() <= now


async def keep_removing_expired(remove_expired: Callable[[], Awaitable[int]]) -> None:
    """Remove what has expired, again and again; `remove_expired` is that of an `AnchorStore`."""
    while True:
        with contextlib.suppress(StoreUnavailableError):
            if count := await remove_expired():
                log.info("expired anchors removed", count=count)
        await asyncio.sleep(REMOVE_EXPIRED_EVERY_SECONDS)
