"""Anchors in a folder of this machine: numpy columns over qdrant-client's local format.

The client's own local mode takes 100 to 700 ms a query at 2 000 points and stores 80 points a second;
here everything is compared exactly in memory, and a batch is one transaction.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from datetime import datetime

import structlog

from vhm.anchors.compatibility import fits, gone, moved
from vhm.anchors.local.database import Point
from vhm.anchors.local.index import Columns
from vhm.anchors.local.shared import Shared
from vhm.anchors.payload import MODEL_KEY, Content, same, to_payload
from vhm.anchors.scoring import Candidate
from vhm.anchors.types import Explained, Model, Query, Recalled, Scoring, Stored, Summary, Vectors
from vhm.contract.messages import Anchor

log = structlog.get_logger("vhm.anchors")


class Embedded:
    """One collection of a folder. The methods are those of AnchorStore."""

    def __init__(self, url: str, collection: str, model: Model, *, follow: bool, hybrid: bool) -> None:
        self._shared = Shared.of(url)
        self._base = collection
        self._follow = follow
        self._model = model
        self._hybrid = hybrid
        self._name = collection
        self._columns = Columns(0)

    async def open(self) -> None:
        """See `AnchorStore.open`."""
        await self._shared.run(self._settle)
        log.info("store ready", collection=self._name, model=self._model.name)

    async def close(self) -> None:
        """See `AnchorStore.close`."""
        await asyncio.to_thread(self._shared.release)

    def not_ready(self) -> list[str]:
        """See `AnchorStore.not_ready`: nobody else can touch the folder."""
        return []

    async def add(self, anchors: Sequence[Anchor], vectors: Vectors) -> list[Stored]:
        """See `AnchorStore.add`."""
        return await self._shared.run(lambda: self._add(anchors, vectors))

    async def known(self, anchor_ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
        """See `AnchorStore.known`."""
        return await self._shared.run(lambda: {one for one in anchor_ids if self._columns.has(one)})

    async def recall(self, queries: Sequence[Query]) -> list[list[Recalled]]:
        """See `AnchorStore.recall`."""
        scoring = self._scoring()
        return await self._shared.run(
            lambda: [self._columns.recall(query, scoring).beats for query in queries]
        )

    async def explain(self, query: Query, count: int) -> list[Explained]:
        """See `AnchorStore.explain`."""
        scoring = self._scoring()
        return await self._shared.run(lambda: self._columns.explain(query, scoring, count))

    def _scoring(self) -> Scoring:
        return Scoring(calibration=self._model.calibration, hybrid=self._hybrid)

    async def summary(self, now: datetime, session_id: str | None) -> Summary:
        """See `AnchorStore.summary`."""
        return await self._shared.run(lambda: self._columns.summary(now, session_id))

    def _settle(self) -> None:
        shared, model = self._shared, self._model
        facts = shared.facts(self._base, model.name)
        if facts is None:
            shared.create(self._base, model)
            facts = shared.facts(self._base, model.name)
        if facts is not None and self._follow and facts.current is not None:
            base, facts = facts, shared.facts(facts.current, model.name)
            if facts is None:
                raise gone(base)
        assert facts is not None  # noqa: S101 - it was made above
        if not fits(facts, model.name, model.size):
            shared.describe(facts.name, {MODEL_KEY: model.name})
        self._name, self._columns = facts.name, shared.columns(facts.name, model.size)
        if self._hybrid:
            self._columns.read_words()

    def _refuse_if_moved(self) -> None:
        """Raises StoreUnavailableError once the collection was re-embedded for another model."""
        if not self._follow:
            return
        base = self._shared.facts(self._base, self._model.name)
        if base is not None and base.current not in (None, self._name):
            current = self._shared.facts(str(base.current), self._model.name)
            raise moved(self._name, current) if current is not None else gone(base)

    def _add(self, anchors: Sequence[Anchor], vectors: Vectors) -> list[Stored]:
        self._refuse_if_moved()
        columns, outcomes = self._columns, []
        new: dict[uuid.UUID, Candidate] = {}
        points: list[Point] = []
        for anchor, vector in zip(anchors, vectors, strict=True):
            anchor_id = anchor.anchor_id
            if anchor_id in new or columns.has(anchor_id):
                held = new[anchor_id].content if anchor_id in new else columns.content(anchor_id)
                outcomes.append(Stored.SAME if same(anchor, held) else Stored.DIFFERENT)
                continue
            content = Content(anchor.text, anchor.stored_at, anchor.salience, anchor.meta)
            new[anchor_id] = Candidate(anchor_id=anchor_id, content=content, vector=vector)
            points.append(Point(str(anchor_id), vector.tolist(), to_payload(anchor, self._model.name)))
            outcomes.append(Stored.NEW)
        self._shared.folder.write(self._name, points)
        columns.extend(list(new.values()))
        if self._hybrid:
            columns.read_words()
        return outcomes
