"""Anchors in a folder of this machine: a SQLite file, and all of it in memory while it is open.

Everything is compared exactly, and a batch is one transaction. A folder is opened once by a process, whoever
uses it, and touched by one thread only.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import structlog

from vhm.anchors.compatibility import CollectionInfo, check_model, missing_error, moved_error
from vhm.anchors.errors import StoreUnavailableError
from vhm.anchors.listing import Listing
from vhm.anchors.local.database import CollectionConfig, Database, Point
from vhm.anchors.local.index import Index
from vhm.anchors.payload import MODEL_KEY, Content, Row, same, to_content, to_payload, to_row
from vhm.anchors.scope import Scope, scope_of
from vhm.anchors.types import Model, Query, Ranking, Vectors, WriteOutcome
from vhm.contract.messages import Anchor

log = structlog.get_logger("vhm.anchors")

LOCAL = "local:"
MEMORY = ":memory:"

T = TypeVar("T")


class LoadedCollection:
    """A collection in memory: an index for each owner. With `hybrid` their words are indexed as well."""

    def __init__(self, size: int, points: Sequence[Point], *, hybrid: bool) -> None:
        self._size = size
        self._hybrid = hybrid
        self._indexes: dict[Scope, Index] = {}
        self.point_ids: set[str] = set()
        """Every id that is taken, by an anchor or by another program's point."""
        self.extend([(point.id, to_row(point.id, point.payload, point.vector)) for point in points])

    def extend(self, points: Sequence[tuple[str, Row | None]]) -> None:
        """Add points whose ids are new: the id of each, and the anchor it is, if it is one."""
        anchors: dict[Scope, list[Row]] = {}
        for point_id, row in points:
            self.point_ids.add(point_id)
            if row is not None and row.vector is not None and row.vector.shape == (self._size,):
                anchor = Row(row.anchor_id, row.content, _unit(row.vector))
                anchors.setdefault(row.content.scope, []).append(anchor)
        for scope, rows in anchors.items():
            self.index(scope).extend(rows)

    def owners(self) -> list[str]:
        """Who has anchors."""
        return sorted(scope.owner for scope, index in self._indexes.items() if len(index))

    def index(self, scope: Scope) -> Index:
        """What an owner has."""
        if scope not in self._indexes:
            self._indexes[scope] = Index(self._size, hybrid=self._hybrid)
        return self._indexes[scope]


class Folder:
    """The database of a folder and its collections in memory. All methods but `of`, `release` and `run` are
    for the thread."""

    _all: dict[str, Folder] = {}  # noqa: RUF012 - the registry, guarded by the lock below
    _guard = threading.Lock()

    def __init__(self, place: str) -> None:
        self._place = place
        self._users = 0
        self._thread = ThreadPoolExecutor(1, "embedded-store")
        self._database: Database | None = None
        self._loaded: dict[tuple[str, bool], LoadedCollection] = {}

    @classmethod
    def of(cls, url: str) -> Folder:
        """The one for that `local:PATH`; to be released as often."""
        place = url.removeprefix(LOCAL)
        key = place if place.startswith(MEMORY) else str(Path(place).expanduser().resolve())
        with cls._guard:
            if key not in cls._all:
                cls._all[key] = cls(key)
            cls._all[key]._users += 1  # noqa: SLF001 - the registry of its own class
            return cls._all[key]

    def release(self) -> None:
        """The last user closes the database; waits for that."""
        with self._guard:
            self._users -= 1
            if self._users:
                return
            del self._all[self._place]
            if self._database is not None:
                self._thread.submit(self._database.close).result()
            self._thread.shutdown()

    async def run(self, work: Callable[[], T]) -> T:
        """`work` done on the thread. Raises StoreUnavailableError for what goes wrong with the folder."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (OSError, sqlite3.Error, msgspec.DecodeError) as error:
            raise StoreUnavailableError(f"the embedded store in {self._place}: {error}") from error

    @property
    def database(self) -> Database:
        """Opened by whoever asks first. Raises StoreUnavailableError."""
        if self._database is None:
            self._database = Database(None if self._place.startswith(MEMORY) else Path(self._place))
        return self._database

    def info(self, name: str, model: str) -> CollectionInfo | None:
        """What the collection is, as `model` would find it; None where there is none."""
        config = self.database.collections().get(name)
        if config is None:
            return None
        points = foreign = 0
        if MODEL_KEY not in config.metadata:
            makers = [point.payload.get(MODEL_KEY) for point in self.database.load(name)]
            points, foreign = len(makers), sum(maker != model for maker in makers)
        return CollectionInfo(
            name=name,
            shape=f"cosine vectors of {config.size}",
            size=config.size,
            metadata=config.metadata,
            points=points,
            foreign=foreign,
        )

    def create(self, name: str, model: Model) -> None:
        """An empty collection for `model`."""
        self.database.configure(name, CollectionConfig(model.size, {MODEL_KEY: model.name}))

    def describe(self, name: str, metadata: dict[str, Any]) -> None:
        """Add to a collection's metadata."""
        config = self.database.collections()[name]
        self.database.configure(name, CollectionConfig(config.size, config.metadata | metadata))

    def loaded(self, name: str, size: int, *, hybrid: bool) -> LoadedCollection:
        """The collection in memory, its vectors of that size."""
        if (name, hybrid) not in self._loaded:
            points = list(self.database.load(name))
            self._loaded[name, hybrid] = LoadedCollection(size, points, hybrid=hybrid)
        return self._loaded[name, hybrid]

    def insert(self, name: str, points: Sequence[Point]) -> None:
        """Store points whose ids are new, in the file and in memory."""
        self.database.insert(name, points)
        rows = [(point.id, to_row(point.id, point.payload, point.vector)) for point in points]
        for (collection, _), loaded in self._loaded.items():
            if collection == name:
                loaded.extend(rows)

    def rows(self, name: str) -> list[Row]:
        """Every anchor of a collection."""
        rows = (to_row(point.id, point.payload, point.vector) for point in self.database.load(name))
        return [row for row in rows if row is not None]


class LocalStore:
    """One collection of a folder. See `AnchorStore`."""

    def __init__(self, folder: Folder, name: str, model: Model, *, hybrid: bool, follow: bool) -> None:
        self._folder = folder
        self._base = name
        self._follow = follow
        self._model = model
        self._hybrid = hybrid
        self._name = name
        self._collection = LoadedCollection(0, [], hybrid=False)

    @classmethod
    async def open(cls, url: str, name: str, model: Model, *, hybrid: bool, follow: bool) -> LocalStore:
        """See `open_store`."""
        store = cls(Folder.of(url), name, model, hybrid=hybrid, follow=follow)
        try:
            await store._folder.run(store._load)
        except BaseException:
            await store.close()
            raise
        log.info("store ready", collection=store._name, model=model.name)
        return store

    async def close(self) -> None:
        """See `AnchorStore`."""
        await asyncio.to_thread(self._folder.release)

    def not_ready(self) -> list[str]:
        """See `AnchorStore`: nobody else can touch the folder."""
        return []

    async def add(self, anchors: Sequence[Anchor], vectors: Vectors) -> list[WriteOutcome]:
        """See `AnchorStore`."""
        return await self._folder.run(lambda: self._add(anchors, vectors))

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
        info = folder.info(self._base, model.name)
        if info is None:
            folder.create(self._base, model)
            info = folder.info(self._base, model.name)
        if info is not None and self._follow and info.current is not None:
            base, info = info, folder.info(info.current, model.name)
            if info is None:
                raise missing_error(base)
        assert info is not None  # noqa: S101 - it was made above
        if not check_model(info, model.name, model.size):
            folder.describe(info.name, {MODEL_KEY: model.name})
        self._name = info.name
        self._collection = folder.loaded(info.name, model.size, hybrid=self._hybrid)

    def _refuse_if_moved(self) -> None:
        """Raises StoreUnavailableError once the collection was re-embedded for another model."""
        if not self._follow:
            return
        base = self._folder.info(self._base, self._model.name)
        if base is not None and base.current not in (None, self._name):
            current = self._folder.info(str(base.current), self._model.name)
            raise moved_error(self._name, current) if current is not None else missing_error(base)

    def _add(self, anchors: Sequence[Anchor], vectors: Vectors) -> list[WriteOutcome]:
        self._refuse_if_moved()
        collection, outcomes = self._collection, []
        new: dict[str, Anchor] = {}
        points: list[Point] = []
        for anchor, vector in zip(anchors, vectors, strict=True):
            scope, point_id = scope_of(anchor), _point_id(anchor)
            content: Content | None
            if point_id in new:
                content = to_content(new[point_id], scope)
            elif point_id in collection.point_ids:
                content = collection.index(scope).content(anchor.anchor_id)
            else:
                new[point_id] = anchor
                points.append(Point(point_id, to_payload(anchor, scope, self._model.name, None), vector))
                content = to_content(anchor, scope)
            outcomes.append(WriteOutcome.STORED if same(anchor, content) else WriteOutcome.DIFFERENT)
        if points:
            self._folder.insert(self._name, points)
        return outcomes


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


def _unit(vector: np.ndarray) -> np.ndarray:
    """As cosine compares it; a row of zeros stays one."""
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0 else vector
