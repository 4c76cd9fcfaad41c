"""The collection behind QDRANT_COLLECTION: made, adopted, watched, never wiped."""

from __future__ import annotations

import asyncio
import contextlib
import time
from functools import partial
from typing import Any, TypeVar

import structlog
from qdrant_client import AsyncQdrantClient, models

from vhm.anchors.connection import Conflict, Connection, Missing, Refused, Request
from vhm.anchors.identity import Facts, fits
from vhm.anchors.payload import MODEL_KEY
from vhm.anchors.types import Model, StoreMismatch, StoreUnavailable

T = TypeVar("T")
log = structlog.get_logger("vhm.anchors")

LOOK_EVERY_SECONDS = 0.4
"""How soon a collection that others recreated is noticed: it is to be adopted within 1 s."""

GONE_FOR_SECONDS = 3.0
"""How long a deleted collection stays gone before we make it ourselves: whoever deletes it to make it
anew finds the name free."""

OLDEST_SERVER = (1, 17)
"""insert_only writes came with it."""

INDEXES: dict[str, models.PayloadSchemaType] = {
    "stored_at": models.PayloadSchemaType.DATETIME,
    "meta.session": models.PayloadSchemaType.KEYWORD,
    "salience": models.PayloadSchemaType.FLOAT,
}
"""What recalls filter by; and salience, whose greatest value they ask for."""


class Collection:
    """Knows the name to read and write, and why that may not be done now."""

    def __init__(self, connection: Connection, name: str, model: Model) -> None:
        self.name = name
        self.problem: StoreUnavailable | None = StoreUnavailable(f"{connection.where}: not opened yet")
        self._base = name
        self._connection = connection
        self._model = model
        self._watch: asyncio.Task[None] | None = None
        self._gone_since: float | None = None

    async def open(self) -> None:
        """Find or make the collection and watch it from now on. Raises StoreUnavailable, StoreMismatch."""
        await self._check_server()
        await self._settle(create=True)
        self._watch = asyncio.create_task(self._look(), name="watch the collection")

    async def close(self) -> None:
        """Stop watching."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
            self._watch = None

    def usable(self) -> str:
        """The collection's name. Raises StoreUnavailable while it may not be used."""
        if self.problem is not None:
            raise self.problem
        return self.name

    async def settle(self) -> None:
        """Look now: after an answer that the collection as last seen does not explain."""
        gone = self._gone_since is not None and time.monotonic() - self._gone_since >= GONE_FOR_SECONDS
        try:
            await self._settle(create=gone)
        except StoreUnavailable as problem:
            if isinstance(problem, Missing):
                self._gone_since = self._gone_since or time.monotonic()
            if str(problem) != str(self.problem):
                log.warning("store not usable", detail=str(problem))
            self.problem = problem
            return
        self._gone_since = None

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_SECONDS)
            await self.settle()

    async def _check_server(self) -> None:
        if self._connection.local:
            return
        version = (await self._connection.call(lambda client: client.info())).version
        with contextlib.suppress(ValueError):  # a version that is no number is a build of one's own
            if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_SERVER:
                oldest = ".".join(map(str, OLDEST_SERVER))
                raise StoreUnavailable(
                    f"{self._connection.where} is version {version}: anchors are immutable only from "
                    f"{oldest} on (insert-only writes), upgrade it"
                )

    async def _settle(self, create: bool) -> None:
        try:
            facts = await self._facts(self._base)
        except Missing:
            if not create:
                raise
            await self._create(self._base)
            facts = await self._facts(self._base)
        if facts.current is not None and facts.current != self._base:
            try:
                facts = await self._facts(facts.current)
            except Missing as error:
                raise StoreMismatch(
                    f"collection {self._base!r} says that {facts.current!r} took its place, "
                    "which is not there: restore it from a snapshot, or run `vhm reindex`"
                ) from error
        if not fits(facts, self._model.name, self._model.size):
            await self._adopt(facts.name)
        await self._index(facts)
        if self.problem is not None or self.name != facts.name:
            log.info("store ready", collection=facts.name, model=self._model.name, points=facts.points)
        self.name, self.problem = facts.name, None

    async def _create(self, name: str) -> None:
        size = self._model.size
        metadata = {MODEL_KEY: self._model.name}
        with contextlib.suppress(Conflict):  # another worker was faster; what it made is looked at next
            await self._do(
                lambda client: client.create_collection(
                    name,
                    vectors_config=models.VectorParams(size=size, distance=models.Distance.COSINE),
                    metadata=metadata,
                )
            )

    async def _adopt(self, name: str) -> None:
        metadata = {MODEL_KEY: self._model.name}
        await self._do(lambda client: client.update_collection(name, metadata=metadata))
        log.info("collection adopted", collection=name, model=self._model.name)

    async def _index(self, facts: Facts) -> None:
        if self._connection.local:
            return  # which has none
        for key in INDEXES.keys() - facts.indexed:
            await self._do(partial(_create_index, facts.name, key))

    async def _facts(self, name: str) -> Facts:
        info = await self._do(lambda client: client.get_collection(name))
        vectors = info.config.params.vectors
        metadata = info.config.metadata or {}
        points = foreign = 0
        if MODEL_KEY not in metadata:
            points = await self._count(name, None)
            foreign = await self._count(name, _made_by_others(self._model.name))
        return Facts(
            name=name,
            shape=_shape(vectors),
            size=_size(vectors),
            metadata=metadata,
            points=points or info.points_count or 0,
            foreign=foreign,
            indexed=frozenset(info.payload_schema),
        )

    async def _count(self, name: str, which: models.Filter | None) -> int:
        return (await self._do(lambda client: client.count(name, count_filter=which, exact=True))).count

    async def _do(self, request: Request[T]) -> T:
        try:
            return await self._connection.call(request)
        except Refused as error:
            raise StoreUnavailable(str(error)) from error


async def _create_index(collection: str, key: str, client: AsyncQdrantClient) -> None:
    await client.create_payload_index(collection, key, INDEXES[key])


def _made_by_others(model: str) -> models.Filter:
    ours = models.FieldCondition(key=MODEL_KEY, match=models.MatchValue(value=model))
    return models.Filter(must_not=[ours])


def _size(vectors: Any) -> int | None:
    if isinstance(vectors, models.VectorParams) and vectors.distance == models.Distance.COSINE:
        return None if vectors.multivector_config else vectors.size
    return None


def _shape(vectors: Any) -> str:
    if isinstance(vectors, models.VectorParams):
        return f"{vectors.distance.value.lower()} vectors of {vectors.size}"
    names = ", ".join(repr(name) for name in vectors or {})
    return f"named vectors ({names})" if names else "no dense vector"
