"""Anchors in the Qdrant collection of a server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import chain

import structlog
from qdrant_client import models

from vhm.anchors.errors import AnchorRejectedError, CollectionMissingError, StoreUnavailableError
from vhm.anchors.lifecycle import Delivery, Tombstone, Write, keep_removing_expired, marks, writes
from vhm.anchors.payload import SHAPE, SHAPE_KEY, Row, to_payload
from vhm.anchors.qdrant import queries, sparse
from vhm.anchors.qdrant.client import Client, Point, RefusedError
from vhm.anchors.qdrant.collection import LOOK_EVERY_SECONDS, Collection
from vhm.anchors.qdrant.idf import IdfCache
from vhm.anchors.qdrant.lifecycle import Lifecycle
from vhm.anchors.qdrant.recall import Recall
from vhm.anchors.qdrant.session_vectors import Held, SessionVectors
from vhm.anchors.scope import Scope
from vhm.anchors.sessions import Sessions
from vhm.anchors.types import Model, Query, Ranking, Vectors, WriteOutcome
from vhm.contract.messages import Anchor
from vhm.contract.settings import EmbeddingSettings

log = structlog.get_logger("vhm.anchors")

OUTDATED_PAGE = 128
"""Sparse vectors of an older shape that are derived anew at once."""

MAINTAIN_EVERY_SECONDS = 10.0

UNCERTAIN_EVERY_SECONDS = 3600.0
"""How often vectors around a write that failed are derived again: the server may have been late with it."""


class QdrantStore:
    """One collection of a Qdrant server. See `AnchorStore`."""

    def __init__(self, settings: EmbeddingSettings, model: Model, *, copy_of: str | None) -> None:
        self._client = Client(settings.qdrant_url, settings.qdrant_api_key)
        name = settings.qdrant_collection
        self._collection = Collection(
            self._client, name, model, hybrid=settings.hybrid_recall, follow=copy_of is None
        )
        self._model = model
        self._hybrid = settings.hybrid_recall
        self._idf = IdfCache()
        self._vectors = SessionVectors(self._client)
        self._lifecycle = Lifecycle(self._client, copy_of or name, self._vectors)
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, *, maintain: bool) -> None:
        """See `open_store`."""
        await self._collection.open()
        async with self._usable():
            await self._lifecycle.carry_out_all()
        if maintain:
            self._tasks = [
                asyncio.create_task(
                    keep_removing_expired(self.remove_expired), name="remove what has expired"
                )
            ]
        if maintain and self._hybrid:
            self._tasks += [
                asyncio.create_task(self._bring_up_to_date(), name="bring sparse vectors up to date"),
                asyncio.create_task(self._derive_uncertain(), name="derive uncertain vectors again"),
            ]

    async def close(self) -> None:
        """See `AnchorStore`."""
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._collection.close()
        await self._client.close()

    def not_ready(self) -> list[str]:
        """See `AnchorStore`."""
        return [str(self._collection.problem)] if self._collection.problem else []

    async def recall(self, queries: Sequence[Query]) -> list[Ranking]:
        """See `AnchorStore`. All queries go as one request; a further page is asked for only where repeats
        leave fewer beats than asked for."""
        async with self._usable():
            collection, calibration = self._collection, self._model.calibration
            self._idf.refresh(collection.points, shared=collection.shared)
            recalls = [Recall(query, calibration, self._idf, collection) for query in queries]
            waiting = recalls
            while waiting:
                asked = [recall.queries() for recall in waiting]
                found = await self._client.query(collection.readable(), list(chain.from_iterable(asked)))
                answers = iter(found)
                for recall, part in zip(waiting, asked, strict=True):
                    recall.take([next(answers) for _ in part])
                waiting = [recall for recall in waiting if recall.ranking and not recall.ranking.exhausted]
            return [recall.ranking for recall in recalls if recall.ranking is not None]

    async def count(self, scope: Scope) -> int:
        """See `AnchorStore`."""
        which = models.Filter(must=[queries.owned(scope)])
        async with self._usable():
            name = self._collection.readable()
            counted = await self._client.call(
                lambda client: client.count(name, count_filter=which, exact=True)
            )
        return counted.count

    async def known(self, anchors: Sequence[Row]) -> set[str]:
        """See `AnchorStore`."""
        ids = [row.point_id for row in anchors]
        async with self._usable():
            name = self._collection.readable()
            records = await self._client.call(lambda client: client.retrieve(name, ids, with_payload=False))
        return {str(record.id) for record in records}

    async def add(
        self, anchors: Sequence[Anchor], vectors: Vectors, deliveries: Sequence[Delivery] | None = None
    ) -> list[WriteOutcome]:
        """See `AnchorStore`. Inserts what is not known to be forgotten, reads what is there and brings the
        sparse vectors around it up to date; then looks whether it was forgotten meanwhile."""
        if not anchors:
            return []
        async with self._usable():
            return await self._add(writes(anchors, vectors, deliveries))

    async def forget(self, tombstones: Sequence[Tombstone]) -> int:
        """See `AnchorStore`."""
        for scope in {Scope(one.owner) for one in tombstones}:
            self._idf.forget(scope)
        async with self._usable():
            return await self._lifecycle.forget(tombstones)

    async def remove_expired(self) -> int:
        """See `AnchorStore`."""
        async with self._usable():
            return await self._lifecycle.remove_expired()

    async def _add(self, batch: Sequence[Write]) -> list[WriteOutcome]:
        self._collection.writable()
        entries = await self._lifecycle.entries([write.row for write in batch])
        outcomes: dict[int, WriteOutcome] = {}
        for index, write in enumerate(batch):
            if entries.circular(write.row):
                outcomes[index] = WriteOutcome.CIRCULAR
                continue
            if entries.forgotten(write.row):
                outcomes[index] = WriteOutcome.FORGOTTEN
            for mark in marks(write.row):
                entries.add(mark)
        forgotten = [batch[index].row for index, one in outcomes.items() if one is WriteOutcome.FORGOTTEN]
        if forgotten:
            await self._take_out_remains(forgotten)
        if left := {index: write for index, write in enumerate(batch) if index not in outcomes}:
            outcomes |= await self._store(left)
        superseding = [
            mark
            for index, write in enumerate(batch)
            if outcomes[index] in (WriteOutcome.STORED, WriteOutcome.FORGOTTEN)
            for mark in marks(write.row)
        ]
        if superseding:
            await self._lifecycle.supersede(superseding)
        return [outcomes[index] for index in range(len(batch))]

    async def _store(self, batch: Mapping[int, Write]) -> dict[int, WriteOutcome]:
        """Insert these; what became of each."""
        first: dict[str, Row] = {}
        for write in batch.values():
            first.setdefault(write.row.point_id, write.row)
        rows = list(first.values())
        name = await self._insert(rows)
        self._collection.points += len(rows)  # about, until it is looked at again
        for scope in {row.content.scope for row in rows}:
            self._idf.forget(scope)
            self._collection.shared = self._collection.shared or bool(scope.owner)
        read = self._vectors.derive if self._collection.hybrid else self._vectors.held
        held = await read(name, rows)
        if unread := [row for row in rows if row.point_id not in held]:  # their ids hold something else
            held |= await self._vectors.held(name, unread)
        if lost := first.keys() - held.keys():
            raise StoreUnavailableError(
                f"{self._client.address}: {len(lost)} anchors just written to {name!r} are not there, "
                f"somebody emptied it meanwhile"
            )
        outcomes = {index: write.outcome(held[write.row.point_id]) for index, write in batch.items()}
        stored = [write.row for index, write in batch.items() if outcomes[index] is WriteOutcome.STORED]
        await self._note_rewritten(name, stored, held)
        return outcomes | await self._take_out_forgotten(
            name, {index: write.row for index, write in batch.items()}
        )

    async def _note_rewritten(self, name: str, stored: Sequence[Row], held: Held) -> None:
        """Records may come again with a later timestamp, and are then not concerned by what was forgotten
        before that."""
        known = {point_id: (content and content.written) or 0 for point_id, content in held.items()}
        later: dict[str, Row] = {}
        for row in stored:
            written = row.content.written or 0
            if written > known[row.point_id]:
                known[row.point_id], later[row.point_id] = written, row
        if not later:
            return
        await self._lifecycle.rewritten(name, later.values())
        if later.keys() - await self._vectors.held(name, list(later.values())):
            raise StoreUnavailableError(
                f"{self._client.address}: anchors in {name!r} were removed while they were written again"
            )

    async def _take_out_forgotten(self, name: str, rows: Mapping[int, Row]) -> dict[int, WriteOutcome]:
        """Take those out again that were forgotten while they were written, and note on the others by what
        they are superseded. Whoever forgets writes a tombstone, then removes; whoever writes inserts, then
        looks for tombstones: one of the two sees the other."""
        entries = await self._lifecycle.entries(list(rows.values()))
        outcomes: dict[int, WriteOutcome] = {}
        for index, row in rows.items():
            if entries.forgotten(row):
                outcomes[index] = WriteOutcome.FORGOTTEN
                await self._lifecycle.take_out(name, row)
            elif mark := entries.superseded(row.content.owner, row.anchor_id):
                await self._lifecycle.note(mark)
        return outcomes

    async def _take_out_remains(self, forgotten: Sequence[Row]) -> None:
        """Take out what an indexer inserted that was killed before it looked for tombstones: its records come
        again, maybe to another one."""
        name = self._collection.writable()
        held = await self._vectors.held(name, forgotten)
        for row in forgotten:
            if row.point_id in held:
                await self._lifecycle.take_out(name, row)

    async def _insert(self, rows: Sequence[Row]) -> str:
        """Add those whose ids are free; the collection that took them."""
        try:
            return await self._upsert(rows)
        except (CollectionMissingError, RefusedError):
            # others may have made the collection anew since it was last looked at
            await self._collection.check()
            try:
                return await self._upsert(rows)
            except RefusedError as error:
                raise AnchorRejectedError(str(error)) from error

    async def _upsert(self, rows: Sequence[Row]) -> str:
        name, hybrid = self._collection.writable(), self._collection.hybrid
        sessions = Sessions()
        for row in rows:
            sessions.add(row)
        points = []
        for row in rows:
            assert row.vector is not None  # noqa: S101 - an anchor to store has been embedded
            payload = to_payload(row, self._model.name, SHAPE if hybrid else None)
            if hybrid:
                words = sparse.to_vector(sparse.numbered(sessions.vector(row)))
                points.append(Point(row.point_id, {queries.DENSE: row.vector, sparse.WORDS: words}, payload))
            else:
                # a plain vector, as published tools take it for granted
                points.append(Point(row.point_id, row.vector, payload))
        await self._client.insert(name, points)
        return name

    @contextlib.asynccontextmanager
    async def _usable(self) -> AsyncIterator[None]:
        """Around requests: a refusal may come of a collection that others deleted or made anew, then that
        is the reason."""
        await self._collection.ensure_usable()
        self._collection.readable()
        try:
            yield
        except (CollectionMissingError, RefusedError) as error:
            await self._collection.check()
            self._collection.readable()
            raise StoreUnavailableError(str(error)) from error

    async def _bring_up_to_date(self) -> None:
        """Derive sparse vectors of an older shape anew, while recall goes on by those that are there. Old
        indexers may write more of them, so it is looked again and again."""
        while True:
            done = 0
            try:
                while self._collection.hybrid and (part := await self._bring_part_up_to_date()):
                    done += part
                if done:
                    log.info("sparse vectors brought up to date", points=done)
                await asyncio.sleep(MAINTAIN_EVERY_SECONDS)
            except StoreUnavailableError:
                await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def _bring_part_up_to_date(self) -> int:
        name, collections = self._collection.writable(), self._collection.collections
        outdated = await collections.outdated(name, OUTDATED_PAGE)
        rows = [row for _, row in outdated if row is not None]
        held = await self._vectors.derive(name, rows)
        # what is no anchor, or in no part of the store that an owner's or a session's query reaches
        if foreign := [point_id for point_id, _ in outdated if str(point_id) not in held]:
            await collections.set_payload(name, {SHAPE_KEY: SHAPE}, foreign)
        return len(outdated)

    async def _derive_uncertain(self) -> None:
        while True:
            await asyncio.sleep(UNCERTAIN_EVERY_SECONDS)
            with contextlib.suppress(StoreUnavailableError):
                await self._vectors.derive_uncertain(self._collection.writable())
