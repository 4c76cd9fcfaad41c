"""What the collection of a server is asked."""

from __future__ import annotations

import uuid
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from qdrant_client import models

from vhm.anchors.errors import StoreUnavailableError
from vhm.anchors.payload import point_id
from vhm.anchors.qdrant import queries as search
from vhm.anchors.qdrant.client import Call, Connection, Missing, Refused
from vhm.anchors.qdrant.collection import Collection
from vhm.anchors.qdrant.requests import Request
from vhm.anchors.qdrant.together import Together
from vhm.anchors.qdrant.wire import Point

T = TypeVar("T")


class Asking:
    """One collection. Everything raises StoreUnavailableError."""

    def __init__(self, connection: Connection, collection: Collection) -> None:
        self._connection = connection
        self._collection = collection
        self._together = Together(self._query)

    async def query(self, requests: list[Request]) -> list[list[Point]]:
        """The points that each of the requests finds. What several ask at once goes as one."""
        return await self._together.ask(requests)

    async def count(self, which: models.Filter | None = None, *, exact: bool = True) -> int:
        """How many points meet conditions; unless `exact`, more or less."""
        name = self._collection.to_read()
        counted = await self._do(lambda client: client.count(name, count_filter=which, exact=exact))
        return counted.count

    async def held(
        self, anchor_ids: Sequence[uuid.UUID], *, payload: bool
    ) -> dict[uuid.UUID, dict[str, Any]]:
        """Those of the anchors that are there, with their payload if wanted."""
        name = self._collection.to_read()
        records = await self._do(
            lambda client: client.retrieve(name, search.ids(anchor_ids), with_payload=payload)
        )
        return {
            anchor_id: record.payload or {}
            for record in records
            if (anchor_id := point_id(record.id)) is not None
        }

    async def _query(self, requests: list[Request]) -> list[list[Point]]:
        name = self._collection.to_read()
        return await self._done(self._connection.query(name, requests))

    async def _do(self, request: Call[T]) -> T:
        return await self._done(self._connection.call(request))

    async def _done(self, asked: Coroutine[Any, Any, T]) -> T:
        """A refusal may come of a collection that others deleted or made anew: then that is the reason."""
        try:
            return await asked
        except (Missing, Refused) as error:
            await self._collection.settle()
            self._collection.to_read()
            raise StoreUnavailableError(str(error)) from error
