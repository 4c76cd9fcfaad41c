"""The files of an embedded store: SQLite databases that one process has at a time.

Two tables in `anchors.sqlite`: `collections` (name, size of the vectors, metadata as JSON) and `anchors`
(collection, id of the point, payload as JSON, vector as float32). One in `lifecycle.sqlite`: `lifecycle`
(collection, tombstone or mark as JSON), so that an older copy of the anchors that is put back meets the
tombstones of what was forgotten since. A folder written by earlier versions, which kept qdrant-client's own
format, is taken over when it is first opened; its files stay, are not read again, and go when anything is
forgotten, for they hold texts.
"""

from __future__ import annotations

import io
import pickle
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import portalocker

from vhm.anchors.errors import StoreUnavailableError
from vhm.anchors.lifecycle import Entry
from vhm.anchors.types import Vector

DATABASE, LIFECYCLE, LOCK = "anchors.sqlite", "lifecycle.sqlite", ".lock"

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS collections (
        name TEXT PRIMARY KEY, size INTEGER NOT NULL, metadata TEXT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS anchors (
        collection TEXT NOT NULL, id TEXT NOT NULL, payload TEXT NOT NULL, vector BLOB NOT NULL,
        PRIMARY KEY (collection, id)
    );
    CREATE TABLE IF NOT EXISTS beside.lifecycle (
        collection TEXT NOT NULL, entry TEXT NOT NULL, PRIMARY KEY (collection, entry)
    );
"""


_UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    sqlite3.Error,
    pickle.UnpicklingError,
    msgspec.MsgspecError,
)


class Point(msgspec.Struct, frozen=True):
    """One row: the id of the point, its payload, its embedding."""

    id: str
    payload: dict[str, Any]
    vector: Vector


class CollectionConfig(msgspec.Struct, frozen=True):
    """The size of a collection's vectors, and its metadata."""

    size: int
    metadata: dict[str, Any] = {}


class Database:
    """The collections of one folder, which nobody else may open meanwhile. A database without a path is
    kept in memory. Use it from one thread at a time."""

    def __init__(self, path: Path | None) -> None:
        """Raises StoreUnavailableError when another process has it or it cannot be written."""
        self._path = path
        self._lock: portalocker.Lock | None = None
        self._database: sqlite3.Connection | None = None
        try:
            if path is not None:
                path.mkdir(parents=True, exist_ok=True)
                self._lock = _locked(path)
            self._database = self._opened(path)
        except _UNREADABLE as error:
            self.close()
            raise StoreUnavailableError(f"the embedded store in {path}: {error}") from error

    def collections(self) -> dict[str, CollectionConfig]:
        """Every collection by name."""
        rows = self._connection.execute("SELECT name, size, metadata FROM collections")
        return {name: CollectionConfig(size, msgspec.json.decode(data)) for name, size, data in rows}

    def configure(self, name: str, config: CollectionConfig) -> None:
        """Make the collection, or change its configuration."""
        with self._connection as database:
            _configure(database, name, config)

    def count(self, name: str) -> int:
        """How many points a collection has."""
        query = "SELECT count(*) FROM anchors WHERE collection = ?"
        (count,) = self._connection.execute(query, (name,)).fetchone()
        return int(count)

    def load(self, name: str, *, holding: str = "") -> list[Point]:
        """The points of a collection in the order they came: all, or those whose payload has such a key."""
        query = "SELECT id, payload, vector FROM anchors WHERE collection = ? AND instr(payload, ?)"
        return [_point(*row) for row in self._connection.execute(f"{query} ORDER BY rowid", (name, holding))]

    def get(self, name: str, ids: Iterable[str]) -> list[Point]:
        """Those of the points that are there."""
        query = "SELECT id, payload, vector FROM anchors WHERE collection = ? AND id = ?"
        return [_point(*row) for one in ids for row in self._connection.execute(query, (name, one))]

    def insert(self, name: str, points: Iterable[Point]) -> None:
        """Add points whose ids are new; all of them, and safe against a crash, or none."""
        with self._connection as database:
            _insert(database, name, points)

    def update(self, name: str, point_id: str, payload: dict[str, Any]) -> None:
        """Replace the payload of a point."""
        with self._connection as database:
            database.execute(
                "UPDATE anchors SET payload = ? WHERE collection = ? AND id = ?",
                (_json(payload), name, point_id),
            )

    def delete(self, name: str, ids: Iterable[str]) -> None:
        """Remove points; `erase` removes what is left of their bytes."""
        with self._connection as database:
            database.executemany(
                "DELETE FROM anchors WHERE collection = ? AND id = ?", ((name, one) for one in ids)
            )

    def erase(self) -> None:
        """Leave no byte of what was deleted in any file of the folder."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if self._path is not None:
            (self._path / _OLD_META).unlink(missing_ok=True)
            shutil.rmtree(self._path / _OLD_COLLECTIONS, ignore_errors=True)

    def entries(self, base: str) -> list[Entry]:
        """The tombstones and marks of a collection and its copies."""
        rows = self._connection.execute("SELECT entry FROM beside.lifecycle WHERE collection = ?", (base,))
        return [msgspec.json.decode(entry, type=Entry) for (entry,) in rows]

    def record(self, base: str, entries: Iterable[Entry]) -> None:
        """Add tombstones and marks; those that are there already make no difference."""
        with self._connection as database:
            database.executemany(
                "INSERT OR IGNORE INTO beside.lifecycle VALUES (?, ?)",
                ((base, msgspec.json.encode(entry).decode()) for entry in entries),
            )

    def close(self) -> None:
        """Let others have it."""
        if self._database is not None:
            self._database.close()
            self._database = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._database is None:
            raise StoreUnavailableError("the embedded store is closed")
        return self._database

    def _opened(self, path: Path | None) -> sqlite3.Connection:
        where = ":memory:" if path is None else str(path / DATABASE)
        database = sqlite3.connect(where, check_same_thread=False)
        database.execute("ATTACH ? AS beside", (":memory:" if path is None else str(path / LIFECYCLE),))
        database.execute("PRAGMA journal_mode=WAL")  # of both: one sync for a batch instead of several
        database.execute("PRAGMA secure_delete=ON")  # what is forgotten is overwritten
        # all of it or none, so that an interrupted takeover starts anew
        with database:
            database.execute("BEGIN IMMEDIATE")
            new = database.execute("SELECT 1 FROM main.sqlite_schema").fetchone() is None
            for statement in filter(str.strip, _SCHEMA.split(";")):
                database.execute(statement)
            if new and path is not None:
                _take_over(database, path)
        return database


def _locked(path: Path) -> portalocker.Lock:
    flags = portalocker.LockFlags.EXCLUSIVE | portalocker.LockFlags.NON_BLOCKING
    lock = portalocker.Lock(path / LOCK, mode="a", timeout=0, flags=flags)
    try:
        lock.acquire()
    except portalocker.LockException as error:
        raise StoreUnavailableError(
            f"the embedded store in {path} is in use by another process: stop that one first"
        ) from error
    return lock


def _configure(database: sqlite3.Connection, name: str, config: CollectionConfig) -> None:
    database.execute(
        "INSERT INTO collections VALUES (?, ?, ?) "
        "ON CONFLICT (name) DO UPDATE SET size = excluded.size, metadata = excluded.metadata",
        (name, config.size, _json(config.metadata)),
    )


def _insert(database: sqlite3.Connection, name: str, points: Iterable[Point]) -> None:
    database.executemany(
        "INSERT INTO anchors VALUES (?, ?, ?, ?)",
        ((name, one.id, _json(one.payload), one.vector.astype("<f4").tobytes()) for one in points),
    )


def _point(point_id: str, payload: str, vector: bytes) -> Point:
    return Point(point_id, msgspec.json.decode(payload), np.frombuffer(vector, dtype="<f4"))


def _json(value: dict[str, Any]) -> str:
    return msgspec.json.encode(value).decode()


# the format of earlier versions

_OLD_META, _OLD_COLLECTIONS = "meta.json", "collection"
_MODELS = "qdrant_client.http.models.models"


class _OldCollection(msgspec.Struct):
    """How qdrant-client's local mode describes one."""

    vectors: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None


class _OldMeta(msgspec.Struct):
    collections: dict[str, _OldCollection] = {}


def _take_over(database: sqlite3.Connection, path: Path) -> None:
    """Copy what an earlier version left in the folder. An id comes again where an old client kept a row for
    each of its spellings; the last one counts."""
    meta = path / _OLD_META
    if not meta.exists():
        return
    for name, old in msgspec.json.decode(meta.read_bytes(), type=_OldMeta).collections.items():
        size = (old.vectors or {}).get("size")
        if not isinstance(size, int):
            continue  # another program's
        _configure(database, name, CollectionConfig(size, old.metadata or {}))
        storage = path / _OLD_COLLECTIONS / name / "storage.sqlite"
        if storage.exists():
            points = {point.id: point for point in _old_points(storage, size)}
            _insert(database, name, points.values())


def _old_points(storage: Path, size: int) -> Iterator[Point]:
    source = sqlite3.connect(f"{storage.absolute().as_uri()}?mode=ro", uri=True)
    try:
        for (row,) in source.execute("SELECT point FROM points ORDER BY rowid"):
            point = _Unpickler(io.BytesIO(row)).load()
            vector = point.vector.get("") if isinstance(point.vector, dict) else point.vector
            if isinstance(vector, list) and len(vector) == size:
                yield Point(str(point.id), point.payload or {}, np.asarray(vector, dtype=np.float32))
    finally:
        source.close()


class _OldModel:
    """Stands for a model of the client, which takes a second of CPU to import."""

    id: Any
    vector: Any
    payload: Any

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state["__dict__"])


class _Unpickler(pickle.Unpickler):
    """Reads the client's rows and makes nothing but its models."""

    def find_class(self, module: str, name: str) -> Any:
        if module == _MODELS:
            return _OldModel
        if (module, name) == ("builtins", "set"):
            return set
        raise pickle.UnpicklingError(f"a row holds a {module}.{name}, which no point of Qdrant's does")
