"""A folder of collections in the format of qdrant-client's local mode, read and written directly.

`QdrantClient(path=...)` opens what is written here and the other way round; only one of them at a time,
which the lock file both use sees to. The client itself commits (and syncs) every point by itself; here a
batch is one transaction.
"""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import portalocker
from qdrant_client import models
from qdrant_client.local.persistence import CollectionPersistence

from vhm.anchors.types import StoreUnavailable

META, LOCK = "meta.json", ".lock"


class Point:
    """One row: the id as text, the vectors and the payload as the client keeps them."""

    __slots__ = ("id", "payload", "vector")

    def __init__(self, id: str, vector: Any, payload: dict[str, Any]) -> None:
        self.id = id
        self.vector = vector
        self.payload = payload


class Folder:
    """The collections of one folder, which nobody else may open meanwhile. A folder without a path is
    kept nowhere. Use it from one thread at a time."""

    def __init__(self, path: Path | None) -> None:
        """Raises StoreUnavailable when another process has it or it cannot be written."""
        self._path = path
        self._lock: portalocker.Lock | None = None
        self._meta: dict[str, Any] = {"collections": {}, "aliases": {}}
        self._rows: dict[str, CollectionPersistence] = {}
        if path is not None:
            try:
                self._open(path)
            except (OSError, ValueError) as error:
                self.close()
                raise StoreUnavailable(f"the embedded store in {path}: {error}") from error

    def _open(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        flags = portalocker.LockFlags.EXCLUSIVE | portalocker.LockFlags.NON_BLOCKING
        lock = portalocker.Lock(path / LOCK, mode="a", timeout=0, flags=flags)
        try:
            lock.acquire()
        except portalocker.LockException as error:
            raise StoreUnavailable(
                f"the embedded store in {path} is in use by another process: stop that one first"
            ) from error
        self._lock = lock
        if (path / META).exists():
            self._meta = msgspec.json.decode((path / META).read_bytes(), type=dict[str, Any])
            msgspec.convert(self._meta.get("collections"), dict[str, dict[str, Any]])
        else:
            self._save(self._meta)

    def collections(self) -> Mapping[str, dict[str, Any]]:
        """Configurations by name; the keys of one are those of Qdrant's create request."""
        found: dict[str, dict[str, Any]] = self._meta["collections"]
        return found

    def configure(self, name: str, config: dict[str, Any]) -> None:
        """Make the collection, or change its configuration."""
        meta = {**self._meta, "collections": {**self._meta["collections"], name: config}}
        self._save(meta)
        self._meta = meta

    def load(self, name: str) -> Iterator[Point]:
        """All points of a collection."""
        if self._path is not None:
            for row in self._storage(name).load():
                yield Point(str(row.id), row.vector, row.payload or {})

    def write(self, name: str, points: Iterable[Point]) -> None:
        """Add points whose ids are new; all of them, and safe against a crash, or none."""
        if self._path is None:
            return
        storage = self._storage(name)
        rows = [(storage.encode_key(point.id), _pickled(point)) for point in points]
        with storage.storage as connection:
            connection.executemany("INSERT INTO points VALUES (?, ?)", rows)

    def close(self) -> None:
        """Let others have it."""
        for storage in self._rows.values():
            storage.close()
        self._rows.clear()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _storage(self, name: str) -> CollectionPersistence:
        if name not in self._rows:
            assert self._path is not None  # noqa: S101 - callers looked
            storage = CollectionPersistence(
                str(self._path / "collection" / name), force_disable_check_same_thread=True
            )
            storage.storage.execute("PRAGMA journal_mode=WAL")  # one sync for a batch instead of several
            self._rows[name] = storage
        return self._rows[name]

    def _save(self, meta: dict[str, Any]) -> None:
        if self._path is None:
            return
        new = self._path / f"{META}.tmp"
        with new.open("w") as file:
            json.dump(meta, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path / META)


def _pickled(point: Point) -> bytes:
    row = models.PointStruct.model_construct(id=point.id, vector=point.vector, payload=point.payload)
    return pickle.dumps(row)
