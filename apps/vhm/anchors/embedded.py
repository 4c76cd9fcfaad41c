"""Anchors in a folder of this machine: numpy columns over qdrant-client's local format.

The client's own local mode takes 100 to 700 ms a query at 2 000 points and stores 80 points a second;
here everything is compared exactly in memory, and a batch is one transaction.
"""

from __future__ import annotations

import asyncio
import pickle
import sqlite3
import threading
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import structlog

from vhm.anchors.columns import Columns
from vhm.anchors.folder import Folder, Point
from vhm.anchors.identity import Facts, fits
from vhm.anchors.payload import MODEL_KEY, Content, from_payload, point_id, same, to_payload
from vhm.anchors.ranking import Candidate, explained
from vhm.anchors.types import (
    Explained,
    Model,
    Query,
    Recalled,
    Stored,
    StoreMismatch,
    StoreUnavailable,
    Summary,
    Vectors,
)
from vhm.contract.messages import Anchor

LOCAL = "local:"
MEMORY = ":memory:"

log = structlog.get_logger("vhm.anchors")
T = TypeVar("T")


class Shared:
    """A folder and its columns, shared by all stores of this process and touched by one thread only."""

    _all: dict[str, Shared] = {}  # noqa: RUF012 - the registry, guarded by the lock below
    _guard = threading.Lock()

    def __init__(self, place: str) -> None:
        self.thread = ThreadPoolExecutor(1, "embedded-store")
        self.columns: dict[str, Columns] = {}
        self._place = place
        self._users = 0
        self._folder: Folder | None = None

    @classmethod
    def of(cls, place: str) -> Shared:
        """The one for that folder (as many `release` as `of`)."""
        key = place if place.startswith(MEMORY) else str(Path(place).expanduser().resolve())
        with cls._guard:
            shared = cls._all.setdefault(key, cls(key))
            shared._users += 1
            return shared

    def release(self) -> None:
        """The last user closes the folder."""
        with self._guard:
            self._users -= 1
            if self._users:
                return
            del self._all[self._place]
        if self._folder is not None:
            self.thread.submit(self._folder.close).result()
        self.thread.shutdown()

    @property
    def folder(self) -> Folder:
        """Opened by whoever asks first, on the thread. Raises StoreUnavailable."""
        if self._folder is None:
            self._folder = Folder(None if self._place.startswith(MEMORY) else Path(self._place))
        return self._folder


class Embedded:
    """One collection of a folder. The methods are those of AnchorStore."""

    def __init__(self, url: str, collection: str, model: Model) -> None:
        self._place = url.removeprefix(LOCAL)
        self._shared = Shared.of(self._place)
        self._base = collection
        self._model = model
        self._columns = Columns(0)
        self._name = collection

    async def open(self) -> None:
        """See `AnchorStore.open`."""
        await self._run(self._settle)
        log.info("store ready", collection=self._name, model=self._model.name, points=len(self._columns))

    async def close(self) -> None:
        """See `AnchorStore.close`."""
        await asyncio.to_thread(self._shared.release)

    def not_ready(self) -> list[str]:
        """See `AnchorStore.not_ready`: nobody else can touch the folder."""
        return []

    async def add(self, anchors: Sequence[Anchor], vectors: Vectors) -> list[Stored]:
        """See `AnchorStore.add`."""
        return await self._run(lambda: self._add(anchors, vectors))

    async def recall(self, queries: Sequence[Query]) -> list[list[Recalled]]:
        """See `AnchorStore.recall`."""
        calibration = self._model.calibration
        return await self._run(lambda: [self._columns.recall(query, calibration).beats for query in queries])

    async def explain(self, query: Query, count: int) -> list[Explained]:
        """See `AnchorStore.explain`."""
        calibration = self._model.calibration

        def told() -> list[Explained]:
            ranking = self._columns.recall(query, calibration, count)
            excluded = self._columns.excluded(query, calibration, count)
            return explained(ranking, excluded, query, calibration)[:count]

        return await self._run(told)

    async def summary(self, now: datetime, session_id: str | None) -> Summary:
        """See `AnchorStore.summary`."""
        return await self._run(lambda: self._columns.summary(now, session_id))

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._shared.thread, work)
        except (OSError, sqlite3.Error, EOFError, pickle.UnpicklingError) as error:
            raise StoreUnavailable(f"the embedded store in {self._place}: {error}") from error

    def _settle(self) -> None:
        folder = self._shared.folder
        if self._base not in folder.collections():
            folder.configure(self._base, self._config({}))
        facts = self._facts(self._base)
        if facts.current is not None:
            if facts.current not in folder.collections():
                raise StoreMismatch(
                    f"collection {self._base!r} says that {facts.current!r} took its place, "
                    "which is not there: run `vhm reindex`"
                )
            facts = self._facts(facts.current)
        if not fits(facts, self._model.name, self._model.size):
            folder.configure(facts.name, self._config(folder.collections()[facts.name]))
        self._name = facts.name
        if facts.name not in self._shared.columns:
            self._shared.columns[facts.name] = self._loaded(facts.name)
        self._columns = self._shared.columns[facts.name]

    def _config(self, config: dict[str, Any]) -> dict[str, Any]:
        metadata = {**(config.get("metadata") or {}), MODEL_KEY: self._model.name}
        vectors = {"size": self._model.size, "distance": "Cosine"}
        return {"vectors": vectors, **config, "metadata": metadata}

    def _facts(self, name: str) -> Facts:
        config = self._shared.folder.collections()[name]
        vectors, metadata = config.get("vectors") or {}, config.get("metadata") or {}
        single = isinstance(vectors.get("size"), int) and isinstance(vectors.get("distance"), str)
        points = foreign = 0
        if MODEL_KEY not in metadata:
            makers = [point.payload.get(MODEL_KEY) for point in self._shared.folder.load(name)]
            points, foreign = len(makers), sum(maker != self._model.name for maker in makers)
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

    def _loaded(self, name: str) -> Columns:
        columns = Columns(self._model.size)
        anchors: dict[uuid.UUID, Candidate] = {}
        for point in self._shared.folder.load(name):
            anchor_id, content, vector = point_id(point.id), from_payload(point.payload), _unit(point.vector)
            if anchor_id is None:
                continue
            if content is None or vector is None or len(vector) != self._model.size:
                columns.taken.add(anchor_id)
                continue
            anchors[anchor_id] = Candidate(anchor_id=anchor_id, content=content, vector=vector)
        columns.extend(list(anchors.values()))
        return columns

    def _add(self, anchors: Sequence[Anchor], vectors: Vectors) -> list[Stored]:
        columns, outcomes = self._columns, []
        new: dict[uuid.UUID, Candidate] = {}
        points: list[Point] = []
        for anchor, vector in zip(anchors, vectors, strict=True):
            anchor_id = anchor.anchor_id
            if anchor_id in columns.rows or anchor_id in columns.taken or anchor_id in new:
                held = new[anchor_id].content if anchor_id in new else columns.content(anchor_id)
                outcomes.append(Stored.SAME if same(anchor, held) else Stored.DIFFERENT)
                continue
            content = Content(anchor.text, anchor.stored_at, anchor.salience, anchor.meta)
            new[anchor_id] = Candidate(anchor_id=anchor_id, content=content, vector=vector)
            points.append(Point(str(anchor_id), vector.tolist(), to_payload(anchor, self._model.name)))
            outcomes.append(Stored.NEW)
        self._shared.folder.write(self._name, points)
        columns.extend(list(new.values()))
        return outcomes


def _unit(vector: object) -> np.ndarray | None:
    """The dense vector as cosine compares it; a point may carry it alone or under the empty name."""
    if isinstance(vector, dict):
        vector = vector.get("")
    if not isinstance(vector, list):
        return None
    row = np.asarray(vector, dtype=np.float32)
    length = float(np.linalg.norm(row))
    return row / length if length > 0 else row
