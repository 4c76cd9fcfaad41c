"""Anchors in the Qdrant collection of a server."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from datetime import datetime
from functools import partial

from qdrant_client import models

from vhm.anchors.qdrant import queries as search
from vhm.anchors.qdrant.asking import Asking
from vhm.anchors.qdrant.client import Connection
from vhm.anchors.qdrant.collection import Collection
from vhm.anchors.qdrant.experience import Experience
from vhm.anchors.qdrant.hybrid_recall import HybridRecall, Means
from vhm.anchors.qdrant.idf import Rarities
from vhm.anchors.qdrant.recall import Recall, Widening, candidates
from vhm.anchors.qdrant.writing import Writing
from vhm.anchors.scoring import by_meaning, explained
from vhm.anchors.types import Explained, Model, Query, Recalled, Stored, Summary, Vectors
from vhm.contract.messages import Anchor

NEWCOMERS = 2_000
"""Anchors that may be stored between two looks at the collection, and a quarter of what there are."""

EXACT_BELOW = 20_000
"""Points from which on a search walks the server's graph. Comparing every vector takes 25 ms at 100 000
points and finds what the graph misses, which is little (see tests/bench/recall_overlap.py); up to some
7 000 Qdrant has no graph anyway."""


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
        self._asking = Asking(connection, self._collection)
        self._writing = Writing(connection, self._collection, self._asking, model)
        self._rarities = Rarities()
        self._experience = Experience()

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
        return await self._writing.add(anchors, vectors)

    async def recall(self, queries: Sequence[Query]) -> list[list[Recalled]]:
        """See `AnchorStore.recall`. What several ask at once goes as one request."""
        await self._collection.settle_if_unusable()
        if self._collection.words:
            rankings = await asyncio.gather(*(self._by_words_too(query).run() for query in queries))
            return [ranking.beats for ranking in rankings]
        settings = self._widening()
        recalls = [Recall(query, settings) for query in queries]
        while open_ := [(recall, recall.requests()) for recall in recalls if not recall.settled]:
            answers = await asyncio.gather(*(self._asking.query(asked) for _, asked in open_))
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
            recall.take(await self._asking.query(recall.requests()))
        (excluded,) = await self._asking.query([recall.excluded(count)])
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
        self._rarities.settle(self._collection.points + self._writing.written)
        means = Means(
            ask=self._asking.query,
            count=partial(self._asking.count, exact=False),
            calibration=self._model.calibration,
            rarities=self._rarities,
            experience=self._experience,
            exact=self._exact,
        )
        return HybridRecall(query, means)

    async def known(self, anchor_ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
        """See `AnchorStore.known`."""
        return set(await self._asking.held(anchor_ids, payload=False))

    async def summary(self, now: datetime, session_id: str | None) -> Summary:
        """See `AnchorStore.summary`."""
        count = self._asking.count
        session = models.Filter(must=[search.of_session(session_id)]) if session_id else None
        return Summary(
            total=await count(),
            younger_than_5s=await count(models.Filter(must=[search.younger(now)])),
            of_session=await count(session) if session else 0,
        )
