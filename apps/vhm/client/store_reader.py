"""The verbs that read the store itself: get and page."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import msgspec

from vhm.anchors.errors import StoreUnavailableError
from vhm.anchors.listing import AnchorReader, CursorError, Listing, after, decode_cursor
from vhm.anchors.payload import Row, to_anchor
from vhm.anchors.scope import Scope
from vhm.client import transport
from vhm.client.errors import Refused, Unavailable
from vhm.contract.rest import Memories, StoredAnchor


class StoreReader:
    """`Reader` of the store that `opened` returns once it is open."""

    def __init__(self, opened: Callable[[], AnchorReader]) -> None:
        self._opened = opened

    async def get(self, owner: str, anchor_id: uuid.UUID) -> StoredAnchor | None:
        """See `Reader.get`."""
        try:
            row = await self._opened().get(Scope(owner), anchor_id)
        except StoreUnavailableError as error:
            raise Unavailable(str(error)) from None
        return None if row is None else _stored(row)

    async def page(self, listing: transport.Listing) -> Memories:
        """See `Reader.page`."""
        try:
            cursor = None if listing.cursor is None else decode_cursor(listing.cursor)
        except CursorError as error:
            raise Refused([str(error)]) from None
        asked = Listing(
            scope=Scope(listing.owner),
            since=listing.since,
            until=listing.until,
            where=dict(listing.where),
            text=listing.text,
            cursor=cursor,
            limit=listing.limit,
        )
        try:
            rows = await self._opened().page(asked)
        except StoreUnavailableError as error:
            raise Unavailable(str(error)) from None
        following = after(asked, rows)
        return Memories(
            memories=[_stored(row) for row in rows], next=following.encode() if following else None
        )

    async def owners(self) -> list[str]:
        """See `Reader.owners`."""
        try:
            return await self._opened().owners()
        except StoreUnavailableError as error:
            raise Unavailable(str(error)) from None


def _stored(row: Row) -> StoredAnchor:
    fields = msgspec.structs.asdict(to_anchor(row))
    return StoredAnchor(**fields, superseded_by=row.content.superseded_by)
