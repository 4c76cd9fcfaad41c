"""Anchors in a folder of this machine. Everything is compared exactly, and a batch is one transaction."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec
import structlog

from vhm.anchors.compatibility import CollectionInfo, check_model, missing_error, moved_error
from vhm.anchors.errors import StoreUnavailableError
from vhm.anchors.lifecycle import Delivery, Mark, Tombstone, marks
from vhm.anchors.listing import Listing
from vhm.anchors.local.database import Point
from vhm.anchors.local.folder import Folder, LoadedCollection
from vhm.anchors.payload import MODEL_KEY, WRITTEN_KEY, Row, from_payload, same, to_content, to_payload
from vhm.anchors.scope import Scope, scope_of
from vhm.anchors.types import Model, Query, Ranking, Vector, Vectors, WriteOutcome
from vhm.contract.messages import Anchor

log = structlog.get_logger("vhm.anchors")

REMOVE_EXPIRED_EVERY_SECONDS = 600.0
"""What has expired is to be gone within the hour."""


class LocalStore:
    """One collection of a folder. See `AnchorStore`."""

    def __init__(
        self, folder: Folder, name: str, model: Model, *, hybrid: bool, follow: bool, base: str | None
    ) -> None:
        self._folder = folder
        self._opened = name
        self._base = base or name
        self._follow = follow
        self._model = model
        self._hybrid = hybrid
        self._name = name
        self._collection = LoadedCollection(0, [], hybrid=False)
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        url: str,
        name: str,
        model: Model,
        *,
        hybrid: bool,
        maintain: bool,
        follow: bool,
        base: str | None = None,
    ) -> LocalStore:
        """See `open_store`."""
        store = cls(Folder.of(url), name, model, hybrid=hybrid, follow=follow, base=base)
        try:
            await store._folder.run(store._load)
        except BaseException:
            await store.close()
            raise
        if maintain:
            store._task = asyncio.create_task(store._remove_expired(), name="remove what has expired")
        log.info("store ready", collection=store._name, model=model.name)
        return store

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
        came = deliveries if deliveries is not None else [Delivery()] * len(anchors)
        return await self._folder.run(lambda: self._add(anchors, vectors, came))

    async def forget(self, tombstones: Sequence[Tombstone]) -> int:
        """See `AnchorStore`."""
        return await self._folder.run(lambda: self._forget(tombstones))

    async def remove_expired(self) -> int:
        """See `AnchorStore`."""
        return await self._folder.run(lambda: self._folder.remove_expired(self._base, time.time()))

    async def known(self, anchors: Sequence[Anchor]) -> set[uuid.UUID]:
        """See `AnchorStore`."""
        taken = self._collection.point_ids
        return await self._folder.run(lambda: {one.anchor_id for one in anchors if _point_id(one) in taken})

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
        info = folder.info(self._opened, model.name)
        if info is None:
            folder.create(self._opened, model)
            info = folder.info(self._opened, model.name)
        if info is not None and self._follow and info.current is not None:
            base, info = info, folder.info(info.current, model.name)
            if info is None:
                raise missing_error(base)
        assert info is not None  # noqa: S101 - it was made above
        if not check_model(info, model.name, model.size):
            folder.describe(info.name, {MODEL_KEY: model.name})
        folder.entries(self._base)
        self._name = info.name
        self._collection = folder.loaded(info.name, model.size, hybrid=self._hybrid)

    def _forget(self, tombstones: Sequence[Tombstone]) -> int:
        self._folder.record(self._base, tombstones)
        return self._folder.bury(self._base, tombstones)

    def _refuse_if_moved(self) -> None:
        """Raises StoreUnavailableError once the collection was re-embedded for another model."""
        if not self._follow:
            return
        base = self._folder.info(self._opened, self._model.name)
        if base is not None and base.current not in (None, self._name):
            current = self._folder.info(str(base.current), self._model.name)
            raise moved_error(self._name, current) if current is not None else missing_error(base)

    def _add(
        self, anchors: Sequence[Anchor], vectors: Vectors, deliveries: Sequence[Delivery]
    ) -> list[WriteOutcome]:
        self._refuse_if_moved()
        batch = _Batch(self._folder, self._base, self._name, self._collection, self._model.name)
        outcomes = [batch.add(*one) for one in zip(anchors, vectors, deliveries, strict=True)]
        batch.write()
        return outcomes

    async def _remove_expired(self) -> None:
        while True:
            with contextlib.suppress(StoreUnavailableError):
                if count := await self.remove_expired():
                    log.info("expired anchors removed", count=count)
            await asyncio.sleep(REMOVE_EXPIRED_EVERY_SECONDS)


class _Batch:
    """One call of `LocalStore.add`."""

    def __init__(
        self, folder: Folder, base: str, name: str, collection: LoadedCollection, model: str
    ) -> None:
        self._folder = folder
        self._base = base
        self._name = name
        self._collection = collection
        self._model = model
        self._entries = folder.entries(base)
        self._new: dict[str, Point] = {}
        self._rewritten: dict[str, int] = {}
        self._marks: list[Mark] = []

    def add(self, anchor: Anchor, vector: Vector, delivery: Delivery) -> WriteOutcome:
        """What will become of an anchor, once the batch is written."""
        if self._entries.circular(anchor):
            return WriteOutcome.CIRCULAR
        scope, point_id, written = scope_of(anchor), _point_id(anchor), delivery.written
        if self._entries.forgotten(anchor.anchor_id, to_content(anchor, scope), written):
            self._mark(anchor)
            return WriteOutcome.FORGOTTEN
        if point_id in self._new:
            held = from_payload(self._new[point_id].payload)
        elif point_id in self._collection.point_ids:
            held = self._collection.index(scope).content(anchor.anchor_id)
        else:
            payload = to_payload(anchor, scope, self._model, None, written)
            self._new[point_id] = Point(point_id, payload, vector)
            held = to_content(anchor, scope)
        if held is None or not same(anchor, held, filled=delivery.filled):
            return WriteOutcome.DIFFERENT
        if written is not None and written > (held.written or 0):
            self._rewritten[point_id] = max(written, self._rewritten.get(point_id, 0))
        self._mark(anchor)
        return WriteOutcome.STORED

    def write(self) -> None:
        """Write what was added, and note what it supersedes and is superseded by."""
        for point_id in self._rewritten.keys() & self._new.keys():
            self._new[point_id].payload[WRITTEN_KEY] = self._rewritten.pop(point_id)
        if self._new:
            self._folder.insert(self._name, list(self._new.values()))
        for point_id, written in self._rewritten.items():
            self._folder.rewritten(self._name, point_id, written)
        self._folder.supersede(self._base, self._marks)

    def _mark(self, anchor: Anchor) -> None:
        """Its marks are kept before anything else, so that the batch's next anchors are held against them."""
        said = marks(anchor)
        if said:
            self._folder.record(self._base, said)
        concerned = dict.fromkeys([anchor.anchor_id, *(mark.anchor_id for mark in said)])
        found = (self._entries.superseded(anchor.owner, one) for one in concerned)
        self._marks += [mark for mark in found if mark is not None]


class LocalCollections:
    """The collections of a folder for a reindex, see `reindex.Collections`."""

    def __init__(self, url: str) -> None:
        self._folder = Folder.of(url)
        self._rows: list[Row] = []

    async def info(self, name: str, model: str) -> CollectionInfo | None:
        """See `Folder.info`; `points` is always counted."""
        info = await self._folder.run(lambda: self._folder.info(name, model))
        if info is None:
            return None
        rows = await self._folder.run(lambda: self._folder.rows(name))
        return msgspec.structs.replace(info, points=len(rows))

    async def describe(self, name: str, metadata: dict[str, Any]) -> None:
        """See `Folder.describe`."""
        await self._folder.run(lambda: self._folder.describe(name, metadata))

    async def page(
        self,
        name: str,
        after: int | None,
        count: int,
        *,
        vectors: bool = False,  # noqa: ARG002 - they are always there
    ) -> tuple[list[Row], int | None]:
        """The next anchors of what the collection held when its first page was read."""
        start = after or 0
        if start == 0:
            self._rows = await self._folder.run(lambda: self._folder.rows(name))
        end = start + count
        return self._rows[start:end], end if end < len(self._rows) else None

    async def close(self) -> None:
        """Let go of the folder."""
        await asyncio.to_thread(self._folder.release)


def _point_id(anchor: Anchor) -> str:
    return str(scope_of(anchor).point_id(anchor.anchor_id))
