"""A folder that holds an embedded store: a SQLite file, and its collections in memory while it is open.

A folder is opened once by a process, whoever uses it, and touched by one thread only.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from vhm.anchors.compatibility import CollectionInfo, belongs
from vhm.anchors.errors import StoreUnavailableError
from vhm.anchors.lifecycle import Entries, Entry, Mark, Tombstone, expired, payload_of
from vhm.anchors.local.database import CollectionConfig, Database, Point
from vhm.anchors.local.index import Index
from vhm.anchors.payload import EXPIRES_KEY, MODEL_KEY, WRITTEN_KEY, Content, Row, to_payload, to_row
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
        self.point_ids = {point.id for point in points}
        """Every id that is taken, by an anchor or by another program's point."""
        self.extend(_rows(points))

    def extend(self, anchors: Iterable[Row]) -> None:
        """Add anchors whose ids are new."""
        added: dict[Scope, list[Row]] = {}
        for row in anchors:
            self.point_ids.add(row.point_id)
            if row.vector is not None and row.vector.shape == (self._size,):
                unit = msgspec.structs.replace(row, vector=_unit(row.vector))
                added.setdefault(row.content.scope, []).append(unit)
        for scope, rows in added.items():
            self.index(scope).extend(rows)

    def remove(self, anchors: Iterable[Row]) -> None:
        """Take anchors out."""
        gone: dict[Scope, set[uuid.UUID]] = {}
        for row in anchors:
            self.point_ids.discard(row.point_id)
            gone.setdefault(row.content.scope, set()).add(row.anchor_id)
        for scope, anchor_ids in gone.items():
            self.index(scope).remove(anchor_ids)

    def content(self, row: Row) -> Content | None:
        """What the point of that anchor's id holds; None where it is another program's."""
        return self.index(row.content.scope).content(row.anchor_id)

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
        points = [] if MODEL_KEY in config.metadata else self.database.load(name)
        return CollectionInfo(
            name=name,
            shape=f"cosine vectors of {config.size}",
            size=config.size,
            metadata=config.metadata,
            points=len(points),
            foreign=sum(point.payload.get(MODEL_KEY) != model for point in points),
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
            self._loaded[name, hybrid] = LoadedCollection(size, self.database.load(name), hybrid=hybrid)
        return self._loaded[name, hybrid]

    def insert(self, name: str, anchors: Sequence[Row], model: str) -> None:
        """Store anchors whose ids are new, embedded by `model`, in the file and in memory."""
        self.database.insert(name, [_point(anchor, model) for anchor in anchors])
        for loaded in self._loaded_as(name):
            loaded.extend(anchors)

    def entries(self, base: str) -> Entries:
        """The tombstones and marks of a collection and its copies. What is tombstoned and came back, by a
        copy of an older file, is removed first."""
        if base not in self._entries:
            entries = self.database.entries(base)
            self._entries[base] = Entries(entries)
            if tombstones := [entry for entry in entries if isinstance(entry, Tombstone)]:
                self.bury(base, tombstones)
        return self._entries[base]

    def record(self, base: str, entries: Sequence[Entry]) -> None:
        """Keep tombstones and marks."""
        known = self.entries(base)
        self.database.record(base, entries)
        for entry in entries:
            known.add(entry)

    def bury(self, base: str, tombstones: Sequence[Tombstone]) -> int:
        """Remove what these concern from a collection and its copies; how many anchors."""
        ids = [
            str(Scope(one.owner).point_id(one.anchor_id)) for one in tombstones if one.anchor_id is not None
        ]

        def concerned(name: str) -> list[Point]:
            named = len(ids) == len(tombstones)
            return self.database.get(name, ids) if named else self.database.load(name)

        count = self._remove(base, concerned, Entries(tombstones).forgotten)
        self.database.erase()
        return count

    def remove_expired(self, base: str, now: float) -> int:
        """Remove what has expired from a collection and its copies; how many anchors."""
        expiring = partial(self.database.load, holding=EXPIRES_KEY)
        count = self._remove(base, expiring, lambda row: expired(row.content, now))
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
        return _rows(self.database.load(name))

    def _copies(self, base: str) -> list[str]:
        collections = self.database.collections().items()
        return [name for name, config in collections if belongs(base, name, config.metadata)]

    def _remove(self, base: str, load: Callable[[str], list[Point]], doomed: Callable[[Row], bool]) -> int:
        most = 0
        for name in self._copies(base):
            gone = [row for row in _rows(load(name)) if doomed(row)]
            self.database.delete(name, [row.point_id for row in gone])
            for loaded in self._loaded_as(name):
                loaded.remove(gone)
            most = max(most, len(gone))
        return most

    def _note(self, name: str, point_id: str, keys: dict[str, Any]) -> None:
        for point in self.database.get(name, [point_id]):
            payload = point.payload | keys
            row = to_row(point_id, payload)
            if row is not None and payload != point.payload:
                self.database.update(name, point_id, payload)
                for loaded in self._loaded_as(name):
                    loaded.index(row.content.scope).note(row)

    def _loaded_as(self, name: str) -> list[LoadedCollection]:
        return [loaded for (collection, _), loaded in self._loaded.items() if collection == name]


def _point(row: Row, model: str) -> Point:
    assert row.vector is not None  # noqa: S101 - an anchor to store has been embedded
    return Point(row.point_id, to_payload(row, model), row.vector)


def _rows(points: Iterable[Point]) -> list[Row]:
    """The anchors among points."""
    rows = (to_row(point.id, point.payload, point.vector) for point in points)
    return [row for row in rows if row is not None]


def _unit(vector: np.ndarray) -> np.ndarray:
    """As cosine compares it; a row of zeros stays one."""
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0 else vector
