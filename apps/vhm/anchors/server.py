"""Anchors in the Qdrant collection of a server."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Coroutine, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from qdrant_client import models

from vhm.anchors import hybrid_recall, search, sparse
from vhm.anchors.collection import Collection
from vhm.anchors.connection import Call, Connection, Missing, Refused
from vhm.anchors.experience import Experience
from vhm.anchors.hybrid_recall import HybridRecall
from vhm.anchors.payload import Content, from_payload, point_id, same, to_payload
from vhm.anchors.ranking import by_meaning, explained
from vhm.anchors.rarity import Rarities
from vhm.anchors.recall import Recall, Widening, candidates
from vhm.anchors.requests import Request
from vhm.anchors.together import Together
from vhm.anchors.types import (
    AnchorUnstorable,
    Explained,
    Model,
    Query,
    Recalled,
    Stored,
    StoreUnavailable,
    Summary,
    Vector,
    Vectors,
)
from vhm.anchors.wire import NewPoint, Point
from vhm.contract.messages import Anchor

NEWCOMERS = 2_000
"""Anchors that may be stored between two looks at the collection, and a quarter of what there are."""

EXACT_BELOW = 20_000
"""Points from which on a search walks the server's graph. Comparing every vector takes 25 ms at 100 000
points and finds what the graph misses, which is little (see tests/bench/recall_overlap.py); up to some
7 000 Qdrant has no graph anyway."""

T = TypeVar("T")


class Server:
    """One collection of a Qdrant server. The methods are those of AnchorStore."""

    def __init__(
        self,
        connection: Connection,
        collection: str,
        model: Model,
        *,
        follow: bool,
        hybrid: bool,
        exact_below: int = EXACT_BELOW,
    ) -> None:
        self._connection = connection
        self._collection = Collection(connection, collection, model, follow=follow, hybrid=hybrid)
        self._model = model
        self._exact_below = exact_below
        self._together = Together(self._query_now)
        self._rarities = Rarities()
        self._experience = Experience()
        self._written = 0

    async def open(self) -> None:
        """See `AnchorStore.open`."""
        await self._collection.open()

    async def close(self) -> None:
        """See `AnchorStore.close`."""
        await self._collection.close()
        await self._connection.close()

    def not_ready(self) -> list[str]:
        """See `AnchorStore.not_ready`."""
        return [str(self._collection.problem)] if self._collection.problem else []

    async def add(self, anchors: Sequence[Anchor], vectors: Vectors) -> list[Stored]:
        """See `AnchorStore.add`."""
        if not anchors:
            return []
        await self._collection.settle_if_unusable()
        self._collection.to_write()
        first = {anchor.anchor_id: index for index, anchor in reversed(list(enumerate(anchors)))}
        held = await self._held(list(first))
        new = [index for anchor_id, index in first.items() if anchor_id not in held]
        written = held
        if new:
            await self._insert([(anchors[index], vectors[index]) for index in new])
            self._written += len(new)
            written = await self._held(list(first))
        if lost := first.keys() - written.keys():
            raise StoreUnavailable(
                f"{self._connection.where}: {len(lost)} anchors just written to "
                f"{self._collection.to_read()!r} are not there, somebody emptied it meanwhile"
            )
        return [
            _outcome(anchor, written, fresh=anchor.anchor_id not in held and first[anchor.anchor_id] == index)
            for index, anchor in enumerate(anchors)
        ]

    async def recall(self, queries: Sequence[Query]) -> list[list[Recalled]]:
        """See `AnchorStore.recall`. What several ask at once goes as one request."""
        await self._collection.settle_if_unusable()
        if self._collection.words:
            rankings = await asyncio.gather(*(self._by_words_too(query).run() for query in queries))
            return [ranking.beats for ranking in rankings]
        settings = self._widening()
        recalls = [Recall(query, settings) for query in queries]
        while open_ := [(recall, recall.requests()) for recall in recalls if not recall.settled]:
            answers = await asyncio.gather(*(self._query(asked) for _, asked in open_))
            for (recall, _), answer in zip(open_, answers, strict=True):
                recall.take(answer)
        return [recall.ranking.beats for recall in recalls]

    async def explain(self, query: Query, count: int) -> list[Explained]:
        """See `AnchorStore.explain`."""
        if self._collection.words:
            by_words = self._by_words_too(query)
            ranking = await by_words.run(count)
            others, similarities = await by_words.excluded(count)
            return explained(ranking, others, query, similarities)[:count]
        recall = Recall(query, self._widening(), page=count)
        while not recall.settled:
            recall.take(await self._query(recall.requests()))
        (excluded,) = await self._query([recall.excluded(count)])
        others = candidates(excluded)
        similarities = by_meaning(others, query, self._model.calibration)
        return explained(recall.ranking, others, query, similarities)[:count]

    def _widening(self) -> Widening:
        """With room for what came since the collection was last looked at."""
        anchors = NEWCOMERS + self._collection.points * 5 // 4
        return Widening(calibration=self._model.calibration, exact=self._exact, anchors=anchors)

    @property
    def _exact(self) -> bool:
        return self._collection.points < self._exact_below

    def _by_words_too(self, query: Query) -> HybridRecall:
        self._rarities.settle(self._collection.points + self._written)
        collection = hybrid_recall.Collection(
            ask=self._query,
            count=partial(self._count, None),
            estimate=self._estimate,
            calibration=self._model.calibration,
            rarities=self._rarities,
            experience=self._experience,
            exact=self._exact,
        )
        return HybridRecall(query, collection)

    def _point(self, anchor: Anchor, vector: Vector) -> NewPoint:
        """With hybrid recall off a plain vector, as published tools take it for granted."""
        dense: list[float] = vector.tolist()
        payload = to_payload(anchor, self._model.name)
        if not self._collection.words:
            return NewPoint(str(anchor.anchor_id), dense, payload)
        words = sparse.of_anchor(Content(anchor.text, anchor.stored_at, anchor.salience, anchor.meta))
        named = {"": dense, sparse.WORDS: {"indices": words.indices, "values": words.values}}
        return NewPoint(str(anchor.anchor_id), named, payload)

    async def known(self, anchor_ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
        """See `AnchorStore.known`."""
        name = self._collection.to_read()
        records = await self._do(
            lambda client: client.retrieve(name, search.ids(anchor_ids), with_payload=False)
        )
        return {anchor_id for record in records if (anchor_id := point_id(record.id)) is not None}

    async def summary(self, now: datetime, session_id: str | None) -> Summary:
        """See `AnchorStore.summary`."""
        session = models.Filter(must=[search.of_session(session_id)]) if session_id else None
        return Summary(
            total=await self._count(None),
            younger_than_5s=await self._count(models.Filter(must=[search.younger(now)])),
            of_session=await self._count(session) if session else 0,
        )

    async def _held(self, anchor_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, dict[str, Any]]:
        name = self._collection.to_read()
        records = await self._do(
            lambda client: client.retrieve(name, search.ids(anchor_ids), with_payload=True)
        )
        return {
            anchor_id: record.payload or {}
            for record in records
            if (anchor_id := point_id(record.id)) is not None
        }

    async def _insert(self, new: Sequence[tuple[Anchor, Vector]]) -> None:
        try:
            await self._upsert(new)
        except (Missing, Refused):  # others may have made the collection anew since it was last looked at
            await self._collection.settle()
            try:
                await self._upsert(new)
            except Refused as error:
                raise AnchorUnstorable(str(error)) from error

    async def _upsert(self, new: Sequence[tuple[Anchor, Vector]]) -> None:
        name = self._collection.to_write()
        await self._connection.insert(name, [self._point(anchor, vector) for anchor, vector in new])

    async def _query(self, requests: list[Request]) -> list[list[Point]]:
        return await self._together.ask(requests)

    async def _query_now(self, requests: list[Request]) -> list[list[Point]]:
        name = self._collection.to_read()
        return await self._done(self._connection.query(name, requests))

    async def _count(self, which: models.Filter | None) -> int:
        name = self._collection.to_read()
        counted = await self._do(lambda client: client.count(name, count_filter=which, exact=True))
        return counted.count

    async def _estimate(self, which: models.Filter) -> int:
        name = self._collection.to_read()
        counted = await self._do(lambda client: client.count(name, count_filter=which, exact=False))
        return counted.count

    async def _do(self, request: Call[T]) -> T:
        return await self._done(self._connection.call(request))

    async def _done(self, asked: Coroutine[Any, Any, T]) -> T:
        """A refusal may come of a collection that others deleted or made anew: then that is the reason."""
        try:
            return await asked
        except (Missing, Refused) as error:
            await self._collection.settle()
            self._collection.to_read()
            raise StoreUnavailable(str(error)) from error


def _outcome(anchor: Anchor, held: Mapping[uuid.UUID, dict[str, Any]], *, fresh: bool) -> Stored:
    if not same(anchor, from_payload(held.get(anchor.anchor_id))):
        return Stored.DIFFERENT
    return Stored.NEW if fresh else Stored.SAME
