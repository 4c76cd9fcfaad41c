"""A folder of collections in the format of qdrant-client's local mode, read and written directly.

`QdrantClient(path=...)` opens what is written here and the other way round; only one of them at a time,
which the lock file both use sees to. The client itself commits (and syncs) every point by itself; here a
batch is one transaction.
"""

from __future__ import annotations

import base64
import io
import json
import os
import pickle
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import portalocker

from vhm.anchors.errors import StoreUnavailableError

META, LOCK = "meta.json", ".lock"

_MODELS = "qdrant_client.http.models.models"


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
        """Raises StoreUnavailableError when another process has it or it cannot be written."""
        self._path = path
        self._lock: portalocker.Lock | None = None
        self._meta: dict[str, Any] = {"collections": {}, "aliases": {}}
        self._databases: dict[str, sqlite3.Connection] = {}
        if path is not None:
            try:
                self._open(path)
            except (OSError, ValueError) as error:
                self.close()
                raise StoreUnavailableError(f"the embedded store in {path}: {error}") from error

    def _open(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        flags = portalocker.LockFlags.EXCLUSIVE | portalocker.LockFlags.NON_BLOCKING
        lock = portalocker.Lock(path / LOCK, mode="a", timeout=0, flags=flags)
        try:
            lock.acquire()
        except portalocker.LockException as error:
            raise StoreUnavailableError(
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
        """All points of a collection. An id comes again where an old client kept a row for each of its
        spellings; the last one counts."""
        if self._path is None:
            return
        for (row,) in self._database(name).execute("SELECT point FROM points ORDER BY rowid"):
            point = _Unpickler(io.BytesIO(row)).load()
            yield Point(str(point.id), point.vector, point.payload or {})

    def write(self, name: str, points: Iterable[Point]) -> None:
        """Add points whose ids are new; all of them, and safe against a crash, or none."""
        if self._path is None:
            return
        rows = [(_key(point.id), _pickled(point)) for point in points]
        with self._database(name) as database:
            database.executemany("INSERT INTO points VALUES (?, ?)", rows)

    def close(self) -> None:
        """Let others have it."""
        for database in self._databases.values():
            database.close()
        self._databases.clear()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _database(self, name: str) -> sqlite3.Connection:
        if name not in self._databases:
            assert self._path is not None  # noqa: S101 - callers looked
            folder = self._path / "collection" / name
            folder.mkdir(parents=True, exist_ok=True)
            database = sqlite3.connect(folder / "storage.sqlite", check_same_thread=False)
            database.execute("PRAGMA journal_mode=WAL")  # one sync for a batch instead of several
            database.execute("CREATE TABLE IF NOT EXISTS points (id TEXT PRIMARY KEY, point BLOB)")
            self._databases[name] = database
        return self._databases[name]

    def _save(self, meta: dict[str, Any]) -> None:
        if self._path is None:
            return
        new = self._path / f"{META}.tmp"
        with new.open("w") as file:
            json.dump(meta, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path / META)


class _Model:
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
            return _Model
        if (module, name) == ("builtins", "set"):
            return set
        raise pickle.UnpicklingError(f"a row holds a {module}.{name}, which no point of Qdrant's does")


def _key(id: str) -> str:
    return base64.b64encode(pickle.dumps(id, protocol=4)).decode()


def _pickled(point: Point) -> bytes:
    """What `pickle.dumps(models.PointStruct(...))` gives: the class by name, made empty, and its state."""
    fields = {"id": point.id, "vector": point.vector, "payload": point.payload}
    state = {
        "__dict__": fields,
        "__pydantic_extra__": None,
        "__pydantic_fields_set__": set(fields),
        "__pydantic_private__": None,
    }
    head = pickle.PROTO + b"\x04" + pickle.GLOBAL + f"{_MODELS}\nPointStruct\n".encode()
    body = pickle.dumps(state, protocol=4).removesuffix(pickle.STOP)
    return head + pickle.EMPTY_TUPLE + pickle.NEWOBJ + body + pickle.BUILD + pickle.STOP
