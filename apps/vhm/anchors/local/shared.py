"""A folder of this process: opened once, whoever uses it, and touched by one thread only."""

from __future__ import annotations

import asyncio
import pickle
import sqlite3
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from vhm.anchors.compatibility import Facts
from vhm.anchors.errors import StoreUnavailableError
from vhm.anchors.local.database import Folder, Point
from vhm.anchors.local.index import Columns
from vhm.anchors.payload import MODEL_KEY, Row, dense, from_payload, point_id
from vhm.anchors.scoring import Candidate
from vhm.anchors.types import Model

LOCAL = "local:"
MEMORY = ":memory:"

T = TypeVar("T")


class Shared:
    """A folder and the columns of its collections. All methods but `of`, `release` and `run` are for the
    thread."""

    _all: dict[str, Shared] = {}  # noqa: RUF012 - the registry, guarded by the lock below
    _guard = threading.Lock()

    def __init__(self, place: str) -> None:
        self._place = place
        self._users = 0
        self._thread = ThreadPoolExecutor(1, "embedded-store")
        self._folder: Folder | None = None
        self._columns: dict[str, Columns] = {}

    @classmethod
    def of(cls, url: str) -> Shared:
        """The one for that `local:PATH`; to be released as often."""
        place = url.removeprefix(LOCAL)
        key = place if place.startswith(MEMORY) else str(Path(place).expanduser().resolve())
        with cls._guard:
            if key not in cls._all:
                cls._all[key] = cls(key)
            cls._all[key]._users += 1
            return cls._all[key]

    def release(self) -> None:
        """The last user closes the folder; waits for that."""
        with self._guard:
            self._users -= 1
            if self._users:
                return
            del self._all[self._place]
            if self._folder is not None:
                self._thread.submit(self._folder.close).result()
            self._thread.shutdown()

    async def run(self, work: Callable[[], T]) -> T:
        """`work` done on the thread. Raises StoreUnavailableError for what goes wrong with the folder."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (OSError, sqlite3.Error, EOFError, pickle.UnpicklingError) as error:
            raise StoreUnavailableError(f"the embedded store in {self._place}: {error}") from error

    @property
    def folder(self) -> Folder:
        """Opened by whoever asks first. Raises StoreUnavailableError."""
        if self._folder is None:
            self._folder = Folder(None if self._place.startswith(MEMORY) else Path(self._place))
        return self._folder

    def facts(self, name: str, model: str) -> Facts | None:
        """What the collection is, as `model` would find it; None where there is none."""
        config = self.folder.collections().get(name)
        if config is None:
            return None
        vectors, metadata = config.get("vectors") or {}, config.get("metadata") or {}
        single = isinstance(vectors.get("size"), int) and isinstance(vectors.get("distance"), str)
        points = foreign = 0
        if MODEL_KEY not in metadata:
            makers = [point.payload.get(MODEL_KEY) for point in self.folder.load(name)]
            points, foreign = len(makers), sum(maker != model for maker in makers)
        return Facts(
            name=name,
            shape=f"{vectors['distance'].lower()} vectors of {vectors['size']}"
            if single
            else "named vectors",
            size=vectors["size"] if single and vectors["distance"] == "Cosine" else None,
            metadata=metadata,
            points=points,
            foreign=foreign,
        )

    def create(self, name: str, model: Model) -> None:
        """An empty collection for `model`."""
        vectors = {"size": model.size, "distance": "Cosine"}
        self.folder.configure(name, {"vectors": vectors, "metadata": {MODEL_KEY: model.name}})

    def describe(self, name: str, metadata: dict[str, Any]) -> None:
        """Add to a collection's metadata."""
        config = self.folder.collections()[name]
        self.folder.configure(name, {**config, "metadata": {**(config.get("metadata") or {}), **metadata}})

    def columns(self, name: str, size: int) -> Columns:
        """The collection in memory, its vectors of that size."""
        if name not in self._columns:
            self._columns[name] = self._loaded(name, size)
        return self._columns[name]

    def rows(self, name: str) -> list[Row]:
        """Every anchor of a collection, whatever its vectors are."""
        if name in self._columns:
            return self._columns[name].rows()
        rows = (row for point in self.folder.load(name) if (row := _row(point)) is not None)
        return list({row.anchor_id: row for row in rows}.values())

    def _loaded(self, name: str, size: int) -> Columns:
        columns = Columns(size)
        anchors: dict[uuid.UUID, Candidate] = {}
        for point in self.folder.load(name):
            row = _row(point)
            if row is not None and row.vector is not None and row.vector.shape == (size,):
                anchors[row.anchor_id] = Candidate(
                    anchor_id=row.anchor_id, content=row.content, vector=_unit(row.vector)
                )
            elif (anchor_id := point_id(point.id)) is not None:
                columns.taken.add(anchor_id)
        columns.extend(list(anchors.values()))
        return columns


class SharedCollections:
    """The collections of a folder for a reindex, see `reindex.Admin`."""

    def __init__(self, url: str) -> None:
        self._shared = Shared.of(url)
        self._rows: list[Row] = []

    async def facts(self, name: str, model: str) -> Facts | None:
        """See `Shared.facts`; `points` is always counted."""
        facts = await self._shared.run(lambda: self._shared.facts(name, model))
        if facts is None:
            return None
        rows = await self._shared.run(lambda: self._shared.rows(name))
        return msgspec.structs.replace(facts, points=len(rows))

    async def describe(self, name: str, metadata: dict[str, Any]) -> None:
        """See `Shared.describe`."""
        await self._shared.run(lambda: self._shared.describe(name, metadata))

    async def page(
        self, name: str, after: int | None, count: int, *, vectors: bool = False
    ) -> tuple[list[Row], int | None]:
        """The next anchors of what the collection held when its first page was read."""
        start = after or 0
        if start == 0:
            self._rows = await self._shared.run(lambda: self._shared.rows(name))
        end = start + count
        return self._rows[start:end], end if end < len(self._rows) else None

    async def close(self) -> None:
        """Let go of the folder."""
        await asyncio.to_thread(self._shared.release)


def _row(point: Point) -> Row | None:
    anchor_id, content = point_id(point.id), from_payload(point.payload)
    return None if anchor_id is None or content is None else Row(anchor_id, content, dense(point.vector))


def _unit(vector: np.ndarray) -> np.ndarray:
    """As cosine compares it; a row of zeros stays one."""
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0 else vector
