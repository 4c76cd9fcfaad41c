"""A folder that holds an embedded store: a SQLite file, and its collections in memory while it is open.

A folder is opened once by a process, whoever uses it, and touched by one thread only.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from vhm.anchors.compatibility import CollectionInfo, belongs
from vhm.anchors.errors import StoreUnavailableError
from vhm.anchors.lifecycle import Entries, Entry, Mark, Tombstone, expired, payload_of
from vhm.anchors.local.database import CollectionConfig, Database, Point
from vhm.anchors.local.index import Index
from vhm.anchors.payload import EXPIRES_KEY, MODEL_KEY, WRITTEN_KEY, Row, to_row
from vhm.anchors.scope import Scope
from vhm.anchors.types import Model

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

    def remove(self, rows: Mapping[str, Row]) -> None:
        """Take anchors out, by the ids of their points."""
        self.point_ids -= rows.keys()
        gone: dict[Scope, set[uuid.UUID]] = {}
        for row in rows.values():
            gone.setdefault(row.content.scope, set()).add(row.anchor_id)
        for scope, anchor_ids in gone.items():
            self.index(scope).remove(anchor_ids)

    def note(self, row: Row) -> None:
        """Take over what an anchor's payload now says."""
        index = self.index(row.content.scope)
        if index.content(row.anchor_id) is not None:
            index.note(row.anchor_id, row.content)

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
        self._entries: dict[str, Entries] = {}

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
        for loaded in self._loaded_as(name):
            loaded.extend(rows)

    def entries(self, base: str) -> Entries:
        """The tombstones and marks of a collection and its copies. What is tombstoned and came back, by a
        copy of an older file, is removed first."""
        if base not in self._entries:
            entries = self.database.entries(base)
            self._entries[base] = Entries(entries)
            if any(isinstance(entry, Tombstone) for entry in entries):
                self.bury(base)
        return self._entries[base]

    def record(self, base: str, entries: Sequence[Entry]) -> None:
        """Keep tombstones and marks."""
        known = self.entries(base)
        self.database.record(base, entries)
        for entry in entries:
            known.add(entry)

    def bury(self, base: str, tombstones: Sequence[Tombstone] | None = None) -> int:
        """Remove what these concern (None: all there are) from a collection and its copies; how many."""
        entries = self.entries(base) if tombstones is None else Entries(tombstones)
        ids: list[str] | None = None
        if tombstones is not None and all(one.anchor_id is not None for one in tombstones):
            named = ((Scope(one.owner), one.anchor_id) for one in tombstones)
            ids = [str(scope.point_id(one)) for scope, one in named if one is not None]
        count = self._remove(
            base, ids, lambda row: entries.forgotten(row.anchor_id, row.content, row.content.written)
        )
        self.database.erase()
        return count

    def remove_expired(self, base: str, now: float) -> int:
        """Remove what has expired from a collection and its copies; how many anchors."""
        count = self._remove(base, None, lambda row: expired(row.content, now), holding=EXPIRES_KEY)
        if count:
            self.database.erase()
        return count

    def supersede(self, base: str, marks: Iterable[Mark]) -> None:
        """Note on anchors, where they are, by what they are superseded."""
        for mark in marks:
            point_id = str(Scope(mark.owner).point_id(mark.anchor_id))
            for name in self._copies(base):
                self._note(name, point_id, payload_of(mark))

    def rewritten(self, name: str, point_id: str, written: int) -> None:
        """Note a later record that wrote the same anchor."""
        self._note(name, point_id, {WRITTEN_KEY: written})

    def rows(self, name: str) -> list[Row]:
        """Every anchor of a collection."""
        rows = (to_row(point.id, point.payload, point.vector) for point in self.database.load(name))
        return [row for row in rows if row is not None]

    def _copies(self, base: str) -> list[str]:
        collections = self.database.collections().items()
        return [name for name, config in collections if belongs(base, name, config.metadata)]

    def _remove(
        self, base: str, ids: Collection[str] | None, doomed: Callable[[Row], bool], *, holding: str = ""
    ) -> int:
        most = 0
        for name in self._copies(base):
            rows = {
                point_id: row
                for point_id, payload in self.database.payloads(name, ids, holding=holding)
                if (row := to_row(point_id, payload)) is not None and doomed(row)
            }
            if not rows:
                continue
            self.database.delete(name, rows)
            for loaded in self._loaded_as(name):
                loaded.remove(rows)
            most = max(most, len(rows))
        return most

    def _note(self, name: str, point_id: str, keys: dict[str, Any]) -> None:
        for _, payload in self.database.payloads(name, [point_id]):
            row = to_row(point_id, payload | keys)
            if row is not None and payload != payload | keys:
                self.database.update(name, {point_id: payload | keys})
                for loaded in self._loaded_as(name):
                    loaded.note(row)

    def _loaded_as(self, name: str) -> list[LoadedCollection]:
        return [loaded for (collection, _), loaded in self._loaded.items() if collection == name]


def _unit(vector: np.ndarray) -> np.ndarray:
    """As cosine compares it; a row of zeros stays one."""
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0 else vector
