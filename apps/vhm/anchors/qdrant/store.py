"""Anchors in the Qdrant collection of a server."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar

import structlog
from qdrant_client import models

from vhm.anchors.errors import AnchorRejectedError, CollectionMissingError, StoreUnavailableError
from vhm.anchors.lifecycle import Delivery, Entries, Tombstone, marks
from vhm.anchors.payload import SHAPE, SHAPE_KEY, WRITTEN_KEY, from_payload, same, to_content, to_payload
from vhm.anchors.qdrant import queries, sparse
from vhm.anchors.qdrant.client import Client, RefusedError
from vhm.anchors.qdrant.collection import LOOK_EVERY_SECONDS, Collection
from vhm.anchors.qdrant.idf import IdfCache
from vhm.anchors.qdrant.lifecycle import Lifecycle
from vhm.anchors.qdrant.recall import Recall
from vhm.anchors.qdrant.session_vectors import Key, Payloads, SessionVectors
from vhm.anchors.scope import Scope, scope_of
from vhm.anchors.sessions import Sessions
from vhm.anchors.types import Model, Query, Ranking, Vector, Vectors, WriteOutcome
from vhm.contract.messages import Anchor
from vhm.contract.settings import EmbeddingSettings

log = structlog.get_logger("vhm.anchors")

EXACT_BELOW = 20_000
"""Points from which on a search walks the server's graph. Comparing every vector takes 25 ms at 100 000
points and finds what the graph misses, which is little (see tests/bench/recall_overlap.py); up to some
7 000 Qdrant has no graph anyway."""

OUTDATED_PAGE = 128
"""Sparse vectors of an older shape that are derived anew at once."""

MAINTAIN_EVERY_SECONDS = 10.0
REMOVE_EXPIRED_EVERY_SECONDS = 600.0
"""What has expired is to be gone within the hour."""

UNCERTAIN_EVERY_SECONDS = 3600.0
"""How often vectors around a write that failed are derived again: the server may have been late with it."""

T = TypeVar("T")


class QdrantStore:
    """One collection of a Qdrant server. See `AnchorStore`."""

    def __init__(
        self, client: Client, collection: Collection, model: Model, *, base: str, exact_below: int
    ) -> None:
        self._client = client
        self._collection = collection
        self._model = model
        self._exact_below = exact_below
        self._idf = IdfCache()
        self._vectors = SessionVectors(client)
        self._lifecycle = Lifecycle(client, base, self._vectors)
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def open(
        cls,
        settings: EmbeddingSettings,
        model: Model,
        *,
        maintain: bool,
        follow: bool,
        base: str | None = None,
        exact_below: int = EXACT_BELOW,
    ) -> QdrantStore:
        """See `open_store`."""
        client = Client(settings.qdrant_url, settings.qdrant_api_key)
        collection = Collection(
            client, settings.qdrant_collection, model, hybrid=settings.hybrid_recall, follow=follow
        )
        store = cls(
            client, collection, model, base=base or settings.qdrant_collection, exact_below=exact_below
        )
        try:
            await collection.open()
            await store._do(store._lifecycle.carry_out_all())
        except BaseException:
            await store.close()
            raise
        if maintain:
            store._tasks = [asyncio.create_task(store._remove_expired(), name="remove what has expired")]
        if maintain and settings.hybrid_recall:
            store._tasks += [
                asyncio.create_task(store._bring_up_to_date(), name="bring sparse vectors up to date"),
                asyncio.create_task(store._derive_uncertain(), name="derive uncertain vectors again"),
            ]
        return store

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
        collection = self._collection
        await collection.ensure_usable()
        self._idf.refresh(collection.points)
        recalls = [
            Recall(
                query,
                self._model.calibration,
                self._idf,
                hybrid=collection.hybrid,
                exact=collection.points < self._exact_below,
                points=collection.points,
                shared=collection.shared,
                floor=collection.up_to_date or not collection.hybrid,
            )
            for query in queries
        ]
        waiting = recalls
        while waiting:
            asked = [recall.queries() for recall in waiting]
            name = collection.readable()
            answers = iter(await self._do(self._client.query(name, [one for part in asked for one in part])))
            for recall, part in zip(waiting, asked, strict=True):
                recall.take([next(answers) for _ in part])
            waiting = [recall for recall in waiting if recall.ranking and not recall.ranking.exhausted]
        return [recall.ranking for recall in recalls if recall.ranking is not None]

    async def count(self, scope: Scope) -> int:
        """See `AnchorStore`."""
        name = self._collection.readable()
        which = models.Filter(must=[queries.owned(scope)])
        counted = self._client.call(lambda client: client.count(name, count_filter=which, exact=True))
        return (await self._do(counted)).count

    async def known(self, anchors: Sequence[Anchor]) -> set[uuid.UUID]:
        """See `AnchorStore`."""
        name = self._collection.readable()
        ids = {str(scope_of(one).point_id(one.anchor_id)): one.anchor_id for one in anchors}
        records = await self._do(
            self._client.call(lambda client: client.retrieve(name, list(ids), with_payload=False))
        )
        return {ids[str(record.id)] for record in records}

    async def add(
        self, anchors: Sequence[Anchor], vectors: Vectors, deliveries: Sequence[Delivery] | None = None
    ) -> list[WriteOutcome]:
        """See `AnchorStore`. Inserts what is not known to be forgotten, reads what is there and brings the
        sparse vectors around it up to date; then looks whether it was forgotten meanwhile."""
        if not anchors:
            return []
        await self._collection.ensure_usable()
        self._collection.writable()
        came = deliveries if deliveries is not None else [Delivery()] * len(anchors)
        entries = await self._do(self._lifecycle.entries(anchors))
        outcomes: dict[int, WriteOutcome] = {}
        for index, (anchor, delivery) in enumerate(zip(anchors, came, strict=True)):
            if entries.circular(anchor):
                outcomes[index] = WriteOutcome.CIRCULAR
                continue
            if _forgotten(entries, anchor, delivery):
                outcomes[index] = WriteOutcome.FORGOTTEN
            for mark in marks(anchor):
                entries.add(mark)
        forgotten = [index for index, one in outcomes.items() if one is WriteOutcome.FORGOTTEN]
        if forgotten:
            await self._take_out_remains([(anchors[index], came[index]) for index in forgotten])
        left = [index for index in range(len(anchors)) if index not in outcomes]
        if left:
            outcomes |= await self._store(
                {index: (anchors[index], vectors[index], came[index]) for index in left}
            )
        superseding = [
            mark
            for index, anchor in enumerate(anchors)
            if outcomes[index] in (WriteOutcome.STORED, WriteOutcome.FORGOTTEN)
            for mark in marks(anchor)
        ]
        if superseding:
            await self._do(self._lifecycle.supersede(superseding))
        return [outcomes[index] for index in range(len(anchors))]

    async def forget(self, tombstones: Sequence[Tombstone]) -> int:
        """See `AnchorStore`."""
        await self._collection.ensure_usable()
        self._collection.readable()
        for scope in {Scope(one.owner) for one in tombstones}:
            self._idf.forget(scope)
        return await self._do(self._lifecycle.forget(tombstones))

    async def remove_expired(self) -> int:
        """See `AnchorStore`."""
        self._collection.readable()
        return await self._do(self._lifecycle.remove_expired())

    async def _store(self, writes: Mapping[int, tuple[Anchor, Vector, Delivery]]) -> dict[int, WriteOutcome]:
        """Insert these; what became of each."""
        first: dict[Key, tuple[Anchor, Vector]] = {}
        written: dict[Key, int | None] = {}
        for anchor, vector, delivery in writes.values():
            key = (scope_of(anchor), anchor.anchor_id)
            first.setdefault(key, (anchor, vector))
            written.setdefault(key, delivery.written)
        name = await self._insert(first, written)
        self._collection.points += len(first)  # until it is looked at again
        for scope, _ in first:
            self._idf.forget(scope)
            self._collection.shared = self._collection.shared or bool(scope.owner)
        contents = {key: to_content(anchor, key[0]) for key, (anchor, _) in first.items()}
        read = self._vectors.derive if self._collection.hybrid else self._vectors.payloads
        held = await self._do(read(name, contents))
        if lost := first.keys() - held.keys():
            raise StoreUnavailableError(
                f"{self._client.address}: {len(lost)} anchors just written to {name!r} are not there, "
                f"somebody emptied it meanwhile"
            )
        outcomes = {
            index: _outcome(anchor, delivery, held) for index, (anchor, _, delivery) in writes.items()
        }
        stored = [one for index, one in writes.items() if outcomes[index] is WriteOutcome.STORED]
        await self._note_rewritten(name, stored, held)
        return outcomes | await self._take_out_forgotten(name, writes)

    async def _note_rewritten(
        self, name: str, stored: Sequence[tuple[Anchor, Vector, Delivery]], held: Payloads
    ) -> None:
        """Records may come again with a later timestamp, and are then not concerned by what was forgotten
        before that."""
        later: dict[Key, int] = {}
        for anchor, _, delivery in stored:
            key = (scope_of(anchor), anchor.anchor_id)
            known = later.get(key, held[key].get(WRITTEN_KEY) or 0)
            if delivery.written is not None and delivery.written > known:
                later[key] = delivery.written
        if not later:
            return
        await self._do(self._lifecycle.rewritten(name, later))
        if later.keys() - await self._do(self._vectors.payloads(name, later)):
            raise StoreUnavailableError(
                f"{self._client.address}: anchors in {name!r} were removed while they were written again"
            )

    async def _take_out_forgotten(
        self, name: str, writes: Mapping[int, tuple[Anchor, Vector, Delivery]]
    ) -> dict[int, WriteOutcome]:
        """Take those out again that were forgotten while they were written, and note on the others by what
        they are superseded. Whoever forgets writes a tombstone, then removes; whoever writes inserts, then
        looks for tombstones: one of the two sees the other."""
        entries = await self._do(self._lifecycle.entries([anchor for anchor, _, _ in writes.values()]))
        outcomes: dict[int, WriteOutcome] = {}
        for index, (anchor, _, delivery) in writes.items():
            mark = entries.superseded(anchor.owner, anchor.anchor_id)
            if _forgotten(entries, anchor, delivery):
                outcomes[index] = WriteOutcome.FORGOTTEN
                await self._do(self._lifecycle.take_out(name, anchor, delivery.written))
            elif mark is not None:
                await self._do(self._lifecycle.note(mark))
        return outcomes

    async def _take_out_remains(self, forgotten: Sequence[tuple[Anchor, Delivery]]) -> None:
        """Take out what an indexer inserted that was killed before it looked for tombstones: its records come
        again, maybe to another one."""
        name = self._collection.writable()
        held = await self._do(
            self._vectors.payloads(name, [(scope_of(one), one.anchor_id) for one, _ in forgotten])
        )
        for anchor, delivery in forgotten:
            if (scope_of(anchor), anchor.anchor_id) in held:
                await self._do(self._lifecycle.take_out(name, anchor, delivery.written))

    async def _insert(
        self, new: Mapping[Key, tuple[Anchor, Vector]], written: Mapping[Key, int | None]
    ) -> str:
        """Add those whose ids are free; the collection that took them."""
        try:
            return await self._upsert(new, written)
        except (CollectionMissingError, RefusedError):
            # others may have made the collection anew since it was last looked at
            await self._collection.check()
            try:
                return await self._upsert(new, written)
            except RefusedError as error:
                raise AnchorRejectedError(str(error)) from error

    async def _upsert(
        self, new: Mapping[Key, tuple[Anchor, Vector]], written: Mapping[Key, int | None]
    ) -> str:
        name, hybrid = self._collection.writable(), self._collection.hybrid
        sessions = Sessions()
        if hybrid:
            for (scope, anchor_id), (anchor, _) in new.items():
                sessions.add(anchor_id, to_content(anchor, scope))
        points = []
        for (scope, anchor_id), (anchor, vector) in new.items():
            shape, record = SHAPE if hybrid else None, written[scope, anchor_id]
            payload = to_payload(anchor, scope, self._model.name, shape, record)
            dense: list[float] = vector.tolist()
            # with hybrid recall off a plain vector, as published tools take it for granted
            vectors: Any = dense
            if hybrid:
                weights = sparse.numbered(sessions.vector(anchor_id, to_content(anchor, scope)))
                vectors = {queries.DENSE: dense, sparse.WORDS: sparse.to_vector(weights)}
            point_id = str(scope.point_id(anchor_id))
            points.append(models.PointStruct.model_construct(id=point_id, vector=vectors, payload=payload))
        await self._client.call(
            lambda client: client.upsert(
                name,
                points,
                update_mode=models.UpdateMode.INSERT_ONLY,
                ordering=models.WriteOrdering.STRONG,
            )
        )
        return name

    async def _do(self, request: Coroutine[Any, Any, T]) -> T:
        """A refusal may come of a collection that others deleted or made anew: then that is the reason."""
        try:
            return await request
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
            except (StoreUnavailableError, RefusedError):
                await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def _bring_part_up_to_date(self) -> int:
        name, collections = self._collection.writable(), self._collection.collections
        outdated = await collections.outdated(name, OUTDATED_PAGE)
        rows = [row for _, row in outdated if row is not None]
        if rows:
            contents = {(row.content.scope, row.anchor_id): row.content for row in rows}
            await self._vectors.derive(name, contents)
        if foreign := [point_id for point_id, row in outdated if row is None]:
            await collections.set_payload(name, {SHAPE_KEY: SHAPE}, foreign)
        return len(outdated)

    async def _remove_expired(self) -> None:
        while True:
            with contextlib.suppress(StoreUnavailableError, RefusedError):
                if count := await self.remove_expired():
                    log.info("expired anchors removed", count=count)
            await asyncio.sleep(REMOVE_EXPIRED_EVERY_SECONDS)

    async def _derive_uncertain(self) -> None:
        while True:
            await asyncio.sleep(UNCERTAIN_EVERY_SECONDS)
            with contextlib.suppress(StoreUnavailableError, RefusedError):
                await self._vectors.derive_uncertain(self._collection.writable())


def _outcome(anchor: Anchor, delivery: Delivery, held: Payloads) -> WriteOutcome:
    content = from_payload(held[scope_of(anchor), anchor.anchor_id])
    alike = same(anchor, content, filled=delivery.filled)
    return WriteOutcome.STORED if alike else WriteOutcome.DIFFERENT


def _forgotten(entries: Entries, anchor: Anchor, delivery: Delivery) -> bool:
    return entries.forgotten(anchor.anchor_id, to_content(anchor, scope_of(anchor)), delivery.written)
