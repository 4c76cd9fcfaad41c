"""The collection behind QDRANT_COLLECTION: made, adopted, watched, never wiped."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import structlog
from qdrant_client import AsyncQdrantClient, models

from vhm.anchors.compatibility import CollectionInfo, belongs, check_model, missing_error, moved_error
from vhm.anchors.errors import (
    CollectionExistsError,
    CollectionMissingError,
    StoreMismatchError,
    StoreUnavailableError,
)
from vhm.anchors.payload import (
    EXPIRES_KEY,
    MODEL_KEY,
    OWNER_KEY,
    SHAPE_KEY,
    SUPERSEDED_AT_KEY,
    WRITTEN_KEY,
    Row,
    to_row,
)
from vhm.anchors.qdrant import queries, sparse
from vhm.anchors.qdrant.client import Client
from vhm.anchors.types import Model

log = structlog.get_logger("vhm.anchors")

LOOK_EVERY_SECONDS = 0.4
"""How soon a collection that others recreated is noticed: it is to be adopted within 1 s."""

POINTS_EVERY_SECONDS = 10.0
"""How often it is looked whether all sparse vectors are of the present shape, since workers of an earlier
version may write others during a rollout, and whether several owners have memories."""

GONE_FOR_SECONDS = 3.0
"""How long a deleted collection stays gone before we make it ourselves: whoever deletes it to make it
anew finds the name free."""

OLDEST_SERVER = (1, 17)
"""insert_only writes came with it."""

VECTOR_CAN_BE_ADDED = (1, 18)
"""A sparse vector can be added to a collection that is there since."""

INDEXES: dict[str, Any] = {
    "stored_at": models.PayloadSchemaType.DATETIME,
    "salience": models.PayloadSchemaType.FLOAT,
    "meta.session": models.PayloadSchemaType.KEYWORD,
    OWNER_KEY: models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True),
    SHAPE_KEY: models.PayloadSchemaType.INTEGER,
    WRITTEN_KEY: models.PayloadSchemaType.INTEGER,
    EXPIRES_KEY: models.PayloadSchemaType.DATETIME,
    SUPERSEDED_AT_KEY: models.PayloadSchemaType.DATETIME,
}
"""What is filtered by, and what a recall's formula reads: without an index Qdrant reads the payload of every
candidate, and a salience of other programs that is no number fails the query."""

PointId = models.ExtendedPointId


class Collections:
    """Collections of a server: what they are, making them, reading them from end to end. Every method raises
    StoreUnavailableError."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def info(self, name: str, model: str) -> CollectionInfo | None:
        """What the collection is, as `model` would find it; None where there is none."""
        try:
            info = await self._client.call(lambda client: client.get_collection(name))
        except CollectionMissingError:
            return None
        vectors, metadata = info.config.params.vectors, info.config.metadata or {}
        points, foreign = info.points_count or 0, 0
        if MODEL_KEY not in metadata:
            ours = models.FieldCondition(key=MODEL_KEY, match=models.MatchValue(value=model))
            points = await self._count(name, None)
            foreign = await self._count(name, models.Filter(must_not=[ours]))
        return CollectionInfo(
            name=name,
            shape=_shape(vectors),
            size=_size(vectors),
            metadata=metadata,
            points=points,
            foreign=foreign,
            indexed=frozenset(info.payload_schema),
            sparse=frozenset(info.config.params.sparse_vectors or ()),
        )

    async def create(self, name: str, model: Model, *, hybrid: bool) -> None:
        """Make it for `model`; another worker may have been faster, so look at it next."""
        vectors = models.VectorParams(size=model.size, distance=models.Distance.COSINE)
        metadata = {MODEL_KEY: model.name}
        words = {sparse.WORDS: sparse.PARAMS} if hybrid else None
        with contextlib.suppress(CollectionExistsError):
            await self._client.call(
                lambda client: client.create_collection(
                    name, vectors_config=vectors, sparse_vectors_config=words, metadata=metadata
                )
            )

    async def add_sparse_vector(self, name: str) -> None:
        """Make room for the words of anchors; servers before 1.18 cannot."""
        await self._client.call(lambda client: client.create_vector_name(name, sparse.WORDS, sparse.CONFIG))

    async def describe(self, name: str, metadata: dict[str, Any]) -> None:
        """Add to its metadata."""
        await self._client.call(lambda client: client.update_collection(name, metadata=metadata))

    async def index(self, info: CollectionInfo) -> None:
        """Make the payload indexes that it lacks."""
        for key in INDEXES.keys() - info.indexed:
            create = partial(
                AsyncQdrantClient.create_payload_index,
                collection_name=info.name,
                field_name=key,
                field_schema=INDEXES[key],
            )
            await self._client.call(create)

    async def pages(self, name: str, count: int, *, vectors: bool = False) -> AsyncIterator[list[Row]]:
        """All anchors, up to `count` at a time."""
        async for rows in rows_of(self._client, name, None, count, vectors=vectors):
            yield rows

    async def copies(self, base: str) -> list[CollectionInfo]:
        """The collection and those that hold what it holds, re-embedded."""
        answer = await self._client.call(lambda client: client.get_collections())
        names = [one.name for one in answer.collections]
        found = [await self.info(name, "") for name in names if name == base or name.startswith(f"{base}@")]
        return [one for one in found if one is not None and belongs(base, one.name, one.metadata)]

    async def outdated(self, name: str, count: int) -> list[tuple[PointId, Row | None]]:
        """Points whose sparse vector is missing or of an older shape, and the anchors that they are, if any;
        up to `count`."""
        records, _ = await self._client.call(
            lambda client: client.scroll(name, scroll_filter=queries.outdated(), limit=count)
        )
        return [(record.id, to_row(record.id, record.payload)) for record in records]

    async def shared(self, name: str) -> bool:
        """Whether owners other than "" have anchors in it."""
        records, _ = await self._client.call(
            lambda client: client.scroll(
                name, scroll_filter=queries.named_owners(), limit=1, with_payload=False
            )
        )
        return bool(records)

    async def set_payload(self, name: str, payload: dict[str, Any], points: list[PointId]) -> None:
        """Add keys to the payloads of points."""
        await self._client.call(lambda client: client.set_payload(name, payload, points=points))

    async def close(self) -> None:
        """Let go of the connection."""
        await self._client.close()

    async def _count(self, name: str, which: models.Filter | None) -> int:
        return (
            await self._client.call(lambda client: client.count(name, count_filter=which, exact=True))
        ).count


class Collection:
    """Knows the name to read and to write, and why that may not be done now."""

    def __init__(self, client: Client, name: str, model: Model, *, hybrid: bool, follow: bool) -> None:
        self.problem: StoreUnavailableError | None = StoreUnavailableError(
            f"{client.address}: not opened yet"
        )
        self.points = 0
        """How many there were when it was last looked at."""
        self.hybrid = hybrid
        """Whether the words of anchors are stored, and recalled by."""
        self.up_to_date = False
        """Whether all sparse vectors were of the present shape when it was last looked."""
        self.shared = False
        """Whether owners other than "" have anchors in it."""
        self.collections = Collections(client)
        self._name = ""
        self._closed_to_writers: StoreUnavailableError | None = None
        self._base = name
        self._follow = follow
        self._hybrid = hybrid
        self._vector_can_be_added = True
        self._client = client
        self._model = model
        self._watch: asyncio.Task[None] | None = None
        self._gone_since: float | None = None
        self._points_looked_at = 0.0
        self._looking = asyncio.Lock()

    async def open(self) -> None:
        """Find or make the collection and watch it from now on.

        Raises StoreUnavailableError, StoreMismatchError."""
        await self._check_server()
        await self._load(create=True)
        self._watch = asyncio.create_task(self._look(), name="watch the collection")

    async def close(self) -> None:
        """Stop watching."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch

    def readable(self) -> str:
        """The collection's name. Raises StoreUnavailableError while it may not be used."""
        if self.problem is not None:
            raise self.problem
        return self._name

    def writable(self) -> str:
        """As `readable`; raises, too, where another collection has taken this one's place."""
        if self._closed_to_writers is not None:
            raise self._closed_to_writers
        return self.readable()

    async def check(self) -> None:
        """Look now: after an answer that the collection as last seen does not explain."""
        async with self._looking:
            gone = self._gone_since is not None and time.monotonic() - self._gone_since >= GONE_FOR_SECONDS
            try:
                await self._load(create=gone)
            except StoreUnavailableError as problem:
                if isinstance(problem, CollectionMissingError):
                    self._gone_since = self._gone_since or time.monotonic()
                if str(problem) != str(self.problem):
                    log.warning("store not usable", detail=str(problem))
                self.problem = problem
                return
            self._gone_since = None

    async def ensure_usable(self) -> None:
        """Look whether what was wrong still is, before anybody is turned away for it."""
        if self.problem is not None:
            await self.check()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_SECONDS)
            await self.check()

    async def _check_server(self) -> None:
        version = (await self._client.call(lambda client: client.info())).version
        with contextlib.suppress(ValueError):  # a version that is no number is a build of one's own
            parsed = tuple(int(part) for part in version.split(".")[:2])
            self._vector_can_be_added = parsed >= VECTOR_CAN_BE_ADDED
            if parsed < OLDEST_SERVER:
                oldest = ".".join(map(str, OLDEST_SERVER))
                raise StoreUnavailableError(
                    f"{self._client.address} is version {version}: anchors are immutable only from "
                    f"{oldest} on (insert-only writes), upgrade it"
                )

    async def _load(self, create: bool) -> None:
        info, redirected = await self._current(create)
        try:
            known = check_model(info, self._model.name, self._model.size)
        except StoreMismatchError:
            if not redirected or self._name in ("", info.name):
                raise
            # re-embedded while we run: what was stored so far is recalled until we are replaced
            self._closed_to_writers = moved_error(self._name, info)
            return self._ready(await self._info(self._name))
        if not known:
            await self.collections.describe(info.name, {MODEL_KEY: self._model.name})
            log.info("collection adopted", collection=info.name, model=self._model.name)
        await self.collections.index(info)
        await self._check_sparse_vector(info)
        await self._check_points(info)
        self._closed_to_writers = None
        return self._ready(info)

    async def _check_sparse_vector(self, info: CollectionInfo) -> None:
        there = sparse.WORDS in info.sparse
        if self._hybrid and not there and self._vector_can_be_added:
            await self.collections.add_sparse_vector(info.name)
            there = True
        elif self._hybrid and not there and self.hybrid:
            log.warning(
                "recall by meaning alone: no sparse vector there, and Qdrant before 1.18 adds none",
                collection=info.name,
                sparse_vector=sparse.WORDS,
            )
        self.hybrid = self._hybrid and there

    async def _check_points(self, info: CollectionInfo) -> None:
        due = time.monotonic() - self._points_looked_at >= POINTS_EVERY_SECONDS
        if not due and info.name == self._name:
            return
        if self.hybrid:
            self.up_to_date = not await self.collections.outdated(info.name, 1)
        self.shared = await self.collections.shared(info.name)
        self._points_looked_at = time.monotonic()

    async def _current(self, create: bool) -> tuple[CollectionInfo, bool]:
        """The collection under our name or the one that took its place, and whether it says so itself."""
        if create and await self.collections.info(self._base, self._model.name) is None:
            await self.collections.create(self._base, self._model, hybrid=self._hybrid)
        info = await self._info(self._base)
        if not self._follow or info.current is None:
            return info, False
        try:
            return await self._info(info.current), True
        except CollectionMissingError as error:
            raise missing_error(info) from error

    async def _info(self, name: str) -> CollectionInfo:
        info = await self.collections.info(name, self._model.name)
        if info is None:
            raise CollectionMissingError(f"{self._client.address} has no collection {name!r}")
        return info

    def _ready(self, info: CollectionInfo) -> None:
        if self.problem is not None or self._name != info.name:
            log.info("store ready", collection=info.name, model=self._model.name)
        self._name, self.points, self.problem = info.name, info.points, None


async def scroll(
    client: Client,
    collection: str,
    which: models.Filter | None,
    count: int,
    *,
    vectors: bool = False,
    consistency: models.ReadConsistency | None = None,
) -> AsyncIterator[list[models.Record]]:
    """Points by their ids, up to `count` at a time. Raises as `Client.call`."""
    after: PointId | None = None
    while True:
        page = partial(
            AsyncQdrantClient.scroll,
            collection_name=collection,
            scroll_filter=which,
            limit=count,
            offset=after,
            with_vectors=vectors,
            consistency=consistency,
        )
        records, after = await client.call(page)
        yield records
        if after is None:
            return


async def rows_of(
    client: Client, collection: str, which: models.Filter | None, count: int, *, vectors: bool = False
) -> AsyncIterator[list[Row]]:
    """The anchors among the points that `scroll` reads."""
    async for records in scroll(client, collection, which, count, vectors=vectors):
        rows = (to_row(record.id, record.payload, record.vector) for record in records)
        yield [row for row in rows if row is not None]


def _size(vectors: Any) -> int | None:
    if isinstance(vectors, models.VectorParams) and vectors.distance == models.Distance.COSINE:
        return None if vectors.multivector_config else vectors.size
    return None


def _shape(vectors: Any) -> str:
    if isinstance(vectors, models.VectorParams):
        return f"{vectors.distance.value.lower()} vectors of {vectors.size}"
    names = ", ".join(repr(name) for name in vectors or {})
    return f"named vectors ({names})" if names else "no dense vector"
