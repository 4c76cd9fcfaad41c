"""What ends the life of anchors: tombstones of what was forgotten, marks of what was superseded.

Both are kept for ever, beside the anchors, and hold no text. They decide whichever comes first: a write that
arrives after its tombstone or its mark is treated as if it had come before.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from vhm.anchors.payload import SUPERSEDED_AT_KEY, SUPERSEDED_BY_KEY, Content
from vhm.contract.messages import Anchor, AnchorsForget

SUPERSEDED_AFTER = timedelta(seconds=5)
"""How long after the newer anchor was said the older one is still recalled: until the newer one is."""


class Delivery(msgspec.Struct, frozen=True):
    """How a write came: the timestamp of its record, in milliseconds since 1970 (None: unknown, which is
    before any forgetting), and whether its stored_at was only filled in and is no part of the content."""

    written: int | None = None
    filled: bool = False


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

    def covers(self, anchor_id: uuid.UUID, content: Content, written: int | None) -> bool:
        """Whether it concerns an anchor that was `written` then (None: nobody knows, so before)."""
        if self.owner != content.owner:
            return False
        if self.anchor_id is not None:
            return self.anchor_id == anchor_id
        if written is not None and written > self.written:
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


def marks(anchor: Anchor) -> list[Mark]:
    """What an anchor supersedes."""
    since = anchor.stored_at + SUPERSEDED_AFTER
    return [
        Mark(owner=anchor.owner, anchor_id=older, by=anchor.anchor_id, since=since)
        for older in dict.fromkeys(anchor.supersedes)
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

    def forgotten(self, anchor_id: uuid.UUID, content: Content, written: int | None) -> bool:
        """Whether a tombstone concerns an anchor that was `written` then."""
        return (content.owner, anchor_id) in self._ids or any(
            one.covers(anchor_id, content, written) for one in self._bounds.get(content.owner, ())
        )

    def superseded(self, owner: str, anchor_id: uuid.UUID) -> Mark | None:
        """The mark that counts for an anchor, the earliest; of several the one of the least id."""
        held = self._marks.get((owner, anchor_id))
        return min(held, key=lambda mark: (mark.since, mark.by)) if held else None

    def superseders(self, owner: str, anchor_id: uuid.UUID) -> set[uuid.UUID]:
        """The anchors that say they supersede this one, directly or by way of others."""
        found: set[uuid.UUID] = set()
        waiting = [anchor_id]
        while waiting:
            nearest = {mark.by for mark in self._marks.get((owner, waiting.pop()), ())} - found
            found |= nearest
            waiting += nearest
        return found

    def circular(self, anchor: Anchor) -> bool:
        """Whether an anchor supersedes one that supersedes it, directly or by way of others."""
        return bool(anchor.supersedes) and not self.superseders(anchor.owner, anchor.anchor_id).isdisjoint(
            anchor.supersedes
        )


def payload_of(mark: Mark) -> dict[str, Any]:
    """What the point of a superseded anchor says of it."""
    return {SUPERSEDED_AT_KEY: mark.since.isoformat(), SUPERSEDED_BY_KEY: str(mark.by)}


def expired(content: Content, now: float) -> bool:
    """Whether an anchor expires at `now`, in seconds since 1970, or did before."""
    return content.expires_at is not None and content.expires_at.timestamp() <= now
