"""Reading a collection of a Qdrant server without asking a question."""

from __future__ import annotations

import time
import uuid
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from qdrant_client import models

from vhm.anchors.errors import CollectionMissingError, StoreUnavailableError
from vhm.anchors.lifecycle import expired
from vhm.anchors.listing import Listing, after
from vhm.anchors.payload import OWNER_KEY, Row, to_row
from vhm.anchors.qdrant import queries
from vhm.anchors.qdrant.client import Client, RefusedError
from vhm.anchors.qdrant.collection import Collections
from vhm.anchors.scope import Scope
from vhm.contract.settings import StoreSettings

NAME_SECONDS = 1.0
"""How long a collection is taken to be the one that is read: a re-embedding replaces it."""

MOST_OWNERS = 1_000

T = TypeVar("T")


class QdrantReader:
    """See `AnchorReader`. It needs no model and makes nothing."""

    def __init__(self, settings: StoreSettings) -> None:
        self._client = Client(settings.qdrant_url, settings.qdrant_api_key)
        self._base = settings.qdrant_collection
        self._name = ""
        self._named_at = 0.0

    async def get(self, scope: Scope, anchor_id: uuid.UUID) -> Row | None:
        """See `AnchorReader`."""
        name, point_id = await self._collection(), str(scope.point_id(anchor_id))
        found = await self._do(
            self._client.call(lambda client: client.retrieve(name, [point_id], with_payload=queries.PAYLOAD))
        )
        rows = [
            row
            for row in _rows(found)
            if row.content.scope == scope and not expired(row.content, time.time())
        ]
        return rows[0] if rows else None

    async def page(self, listing: Listing) -> list[Row]:
        """See `AnchorReader`."""
        found: list[Row] = []
        part = listing
        while True:
            rows = await self._page(part)
            # a list that holds the value is no match for us, though it is for Qdrant
            found += [row for row in rows if row.content.matches(listing.where)]
            cursor = after(part, rows)
            if cursor is None or len(found) >= listing.limit:
                return found[: listing.limit]
            part = msgspec.structs.replace(part, cursor=cursor)

    async def _page(self, listing: Listing) -> list[Row]:
        """A page by the server's own conditions. It orders by moment and leaves those of one moment in any
        order, so the moments at both ends of a page are read by the ids of their points."""
        rows: list[Row] = []
        bounds: dict[str, datetime] = {}
        if listing.cursor is not None:
            bounds["lt"] = listing.cursor.stored_at
            rows = await self._of_moment(
                listing, listing.cursor.stored_at, listing.cursor.point_id, listing.limit
            )
        if (room := listing.limit - len(rows)) <= 0:
            return rows
        older = await self._scroll(listing, room, bounds, newest_first=True)
        if len(older) < room:
            return rows + _ordered(listing.scope, older)
        last = older[-1].content.stored_at
        rows += _ordered(listing.scope, [row for row in older if row.content.stored_at != last])
        return rows + await self._of_moment(listing, last, None, listing.limit - len(rows))

    async def owners(self) -> list[str]:
        """See `AnchorReader`."""
        name = await self._collection()
        facet = await self._do(
            self._client.call(lambda client: client.facet(name, OWNER_KEY, limit=MOST_OWNERS))
        )
        nameless = models.Filter(must=[queries.owned(Scope(""))])
        records, _ = await self._do(
            self._client.call(
                lambda client: client.scroll(name, scroll_filter=nameless, limit=1, with_payload=False)
            )
        )
        return sorted([*([""] if records else []), *(str(hit.value) for hit in facet.hits)])

    async def close(self) -> None:
        """See `AnchorReader`."""
        await self._client.close()

    async def _of_moment(self, listing: Listing, moment: datetime, last: str | None, limit: int) -> list[Row]:
        """Anchors said at one moment, by the ids of their points, those after one of them."""
        # the scroll begins with the point that the last page ended with, if that is still there
        spare = 1 if last is not None else 0
        rows = await self._scroll(listing, limit + spare, {"gte": moment, "lte": moment}, offset=last)
        return [row for row in rows if _point_id(listing.scope, row) != last][:limit]

    async def _scroll(
        self,
        listing: Listing,
        limit: int,
        bounds: Mapping[str, datetime],
        *,
        newest_first: bool = False,
        offset: str | None = None,
    ) -> list[Row]:
        name = await self._collection()
        order = models.OrderBy(key="stored_at", direction=models.Direction.DESC) if newest_first else None
        records, _ = await self._do(
            self._client.call(
                lambda client: client.scroll(
                    name,
                    scroll_filter=queries.listed(listing, **bounds),
                    limit=limit,
                    offset=offset,
                    order_by=order,
                    with_payload=queries.PAYLOAD,
                )
            )
        )
        return _rows(records)

    async def _collection(self) -> str:
        if time.monotonic() - self._named_at > NAME_SECONDS:
            info = await Collections(self._client).info(self._base, "")
            if info is None:
                raise StoreUnavailableError(f"{self._client.address} has no collection {self._base!r} yet")
            self._name, self._named_at = info.current or self._base, time.monotonic()
        return self._name

    async def _do(self, request: Coroutine[Any, Any, T]) -> T:
        try:
            return await request
        except (CollectionMissingError, RefusedError) as error:
            self._named_at = 0.0
            raise StoreUnavailableError(str(error)) from error


def _rows(records: Sequence[models.Record]) -> list[Row]:
    found = (to_row(record.id, record.payload) for record in records)
    return [row for row in found if row is not None]


def _ordered(scope: Scope, rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (-row.content.stored_at.timestamp(), _point_id(scope, row)))


def _point_id(scope: Scope, row: Row) -> str:
    return str(scope.point_id(row.anchor_id))
