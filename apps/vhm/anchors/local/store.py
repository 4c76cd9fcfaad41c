"""Anchors in a folder of this machine. Everything is compared exactly, and a batch is one transaction."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import structlog

from vhm.anchors.compatibility import CollectionInfo, check_model, missing_error, moved_error
from vhm.anchors.lifecycle import Delivery, Entries, Tombstone, Write, keep_removing_expired, marks, writes
from vhm.anchors.listing import Listing
from vhm.anchors.local.folder import Folder, LoadedCollection
from vhm.anchors.payload import MODEL_KEY, Row
from vhm.anchors.scope import Scope
from vhm.anchors.types import Model, Query, Ranking, Vectors, WriteOutcome
from vhm.contract.messages import Anchor
from vhm.contract.settings import EmbeddingSettings

log = structlog.get_logger("vhm.anchors")


class LocalStore:
    """One collection of a folder. See `AnchorStore`."""

    def __init__(self, settings: EmbeddingSettings, model: Model, *, copy_of: str | None) -> None:
        self._folder = Folder.of(settings.qdrant_url)
        self._opened = self._name = settings.qdrant_collection
        self._base = copy_of or self._opened
        self._follow = copy_of is None
        self._model = model
        self._hybrid = settings.hybrid_recall
        self._collection = LoadedCollection(0, [], hybrid=False)
        self._task: asyncio.Task[None] | None = None

    async def open(self, *, maintain: bool) -> None:
        """See `open_store`."""
        await self._folder.run(self._load)
        if maintain:
            self._task = asyncio.create_task(
                keep_removing_expired(self.remove_expired), name="remove what has expired"
            )
        log.info("store ready", collection=self._name, model=self._model.name)

    async def close(self) -> None:
        """See `AnchorStore`."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await asyncio.to_thread(self._folder.release)

    def not_ready(self) -> list[str]:
        """See `AnchorStore`: nobody else can touch the folder."""
        return []

    async def add(
        self, anchors: Sequence[Anchor], vectors: Vectors, deliveries: Sequence[Delivery] | None = None
    ) -> list[WriteOutcome]:
        """See `AnchorStore`."""
        return await self._folder.run(lambda: self._add(writes(anchors, vectors, deliveries)))

    async def forget(self, tombstones: Sequence[Tombstone]) -> int:
        """See `AnchorStore`."""
        return await self._folder.run(lambda: self._forget(tombstones))

    async def remove_expired(self) -> int:
        """See `AnchorStore`."""
        return await self._folder.run(lambda: self._folder.remove_expired(self._base, time.time()))

    async def known(self, anchors: Sequence[Row]) -> set[str]:
        """See `AnchorStore`."""
        return await self._folder.run(
            lambda: self._collection.point_ids.intersection(row.point_id for row in anchors)
        )

    async def recall(self, queries: Sequence[Query]) -> list[Ranking]:
        """See `AnchorStore`."""
        calibration = self._model.calibration
        return await self._folder.run(
            lambda: [self._collection.index(query.scope).recall(query, calibration) for query in queries]
        )

    async def get(self, scope: Scope, anchor_id: uuid.UUID) -> Row | None:
        """See `AnchorReader`."""
        return await self._folder.run(lambda: self._collection.index(scope).get(anchor_id))

    async def page(self, listing: Listing) -> list[Row]:
        """See `AnchorReader`."""
        return await self._folder.run(lambda: self._collection.index(listing.scope).page(listing))

    async def owners(self) -> list[str]:
        """See `AnchorReader`."""
        return await self._folder.run(self._collection.owners)

    async def count(self, scope: Scope) -> int:
        """See `AnchorStore`."""
        return await self._folder.run(lambda: len(self._collection.index(scope)))

    def _load(self) -> None:
        folder, model = self._folder, self._model
        if folder.info(self._opened, model.name) is None:
            folder.create(self._opened, model)
        info = self._current()
        if not check_model(info, model.name, model.size):
            folder.describe(info.name, {MODEL_KEY: model.name})
        folder.entries(self._base)
        self._name = info.name
        self._collection = folder.loaded(info.name, model.size, hybrid=self._hybrid)

    def _current(self) -> CollectionInfo:
        """The collection that was opened, or the one that took its place when it was re-embedded."""
        info = self._folder.info(self._opened, self._model.name)
        assert info is not None  # noqa: S101 - it was there when the store was opened, and none is removed
        if info.current is None or not self._follow:
            return info
        current = self._folder.info(info.current, self._model.name)
        if current is None:
            raise missing_error(info)
        return current

    def _forget(self, tombstones: Sequence[Tombstone]) -> int:
        self._folder.record(self._base, tombstones)
        return self._folder.bury(self._base, tombstones)

    def _add(self, batch: Sequence[Write]) -> list[WriteOutcome]:
        if (current := self._current()).name != self._name:
            raise moved_error(self._name, current)
        entries = self._folder.entries(self._base)
        new: dict[str, Row] = {}
        rewritten: dict[str, int] = {}
        marked: set[tuple[str, uuid.UUID]] = set()
        outcomes = []
        for write in batch:
            outcomes.append(self._outcome(write, entries, new, rewritten))
            if outcomes[-1] in (WriteOutcome.STORED, WriteOutcome.FORGOTTEN):
                # kept before anything else, so that the batch's next anchors are held against them
                if said := marks(write.row):
                    self._folder.record(self._base, said)
                owner = write.row.content.owner
                marked |= {(owner, one) for one in (write.row.anchor_id, *write.row.content.supersedes)}
        if new:
            self._folder.insert(self._name, list(new.values()), self._model.name)
        for point_id, written in rewritten.items():
            self._folder.rewritten(self._name, point_id, written)
        self._folder.supersede(
            self._base, [mark for one in marked if (mark := entries.superseded(*one)) is not None]
        )
        return outcomes

    def _outcome(
        self, write: Write, entries: Entries, new: dict[str, Row], rewritten: dict[str, int]
    ) -> WriteOutcome:
        """What becomes of an anchor. Adds it to the `new` ones if its id is free, and to the `rewritten` if
        a later record wrote the same."""
        row, point_id, written = write.row, write.row.point_id, write.row.content.written
        if entries.circular(row):
            return WriteOutcome.CIRCULAR
        if entries.forgotten(row):
            return WriteOutcome.FORGOTTEN
        if point_id not in self._collection.point_ids:
            new.setdefault(point_id, row)
        held = new[point_id].content if point_id in new else self._collection.content(row)
        outcome = write.outcome(held)
        if outcome is WriteOutcome.STORED and held is not None and (written or 0) > (held.written or 0):
            rewritten[point_id] = max(written or 0, rewritten.get(point_id, 0))
        return outcome


class LocalCollections:
    """The collections of a folder. See `reindex.CollectionAccess`."""

    def __init__(self, url: str) -> None:
        self._folder = Folder.of(url)

    async def info(self, name: str, model: str) -> CollectionInfo | None:
        """See `Folder.info`; `points` is always counted."""
        info = await self._folder.run(lambda: self._folder.info(name, model))
        if info is None:
            return None
        points = await self._folder.run(lambda: self._folder.database.count(name))
        return msgspec.structs.replace(info, points=points)

    async def describe(self, name: str, metadata: dict[str, Any]) -> None:
        """See `Folder.describe`."""
        await self._folder.run(lambda: self._folder.describe(name, metadata))

    async def pages(
        self,
        name: str,
        count: int,
        *,
        vectors: bool = False,  # noqa: ARG002 - they are always there
    ) -> AsyncIterator[list[Row]]:
        """What the collection holds when its first page is read."""
        rows = await self._folder.run(lambda: self._folder.rows(name))
        for start in range(0, len(rows), count):
            yield rows[start : start + count]

    async def close(self) -> None:
        """Let go of the folder."""
        await asyncio.to_thread(self._folder.release)
