"""Collections of a Qdrant server: what they are, making them, and reading them from end to end."""

from __future__ import annotations

import contextlib
import uuid
from functools import partial
from typing import Any, TypeVar

from qdrant_client import AsyncQdrantClient, models

from vhm.anchors.compatibility import Facts
from vhm.anchors.errors import StoreUnavailableError
from vhm.anchors.payload import MODEL_KEY, Row, dense, from_payload, point_id
from vhm.anchors.qdrant import sparse
from vhm.anchors.qdrant.client import Call, Conflict, Connection, Missing, Refused
from vhm.anchors.types import Model

WORDLESS_PAGE = 256

T = TypeVar("T")
PointId = int | str | uuid.UUID

INDEXES: dict[str, models.PayloadSchemaType] = {
    "stored_at": models.PayloadSchemaType.DATETIME,
    "meta.session": models.PayloadSchemaType.KEYWORD,
    "salience": models.PayloadSchemaType.FLOAT,
}
"""What recalls filter by; and salience, whose greatest value they ask for."""


class Collections:
    """Every method raises StoreUnavailableError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def facts(self, name: str, model: str) -> Facts | None:
        """What the collection is, as `model` would find it; None where there is none."""
        try:
            info = await self._do(lambda client: client.get_collection(name))
        except Missing:
            return None
        vectors = info.config.params.vectors
        metadata = info.config.metadata or {}
        points, foreign = info.points_count or 0, 0
        if MODEL_KEY not in metadata:
            points = await self._count(name, None)
            foreign = await self._count(name, _made_by_others(model))
        return Facts(
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
        with contextlib.suppress(Conflict):
            await self._do(
                lambda client: client.create_collection(
                    name, vectors_config=vectors, sparse_vectors_config=words, metadata=metadata
                )
            )

    async def add_words(self, name: str) -> None:
        """Make room for the words of anchors; servers before 1.18 cannot, and raise Missing."""
        await self._do(lambda client: client.create_vector_name(name, sparse.WORDS, sparse.CONFIG))

    async def wordless(self, name: str, after: PointId | None) -> tuple[list[Row], PointId | None]:
        """The next anchors whose words are not stored, and where to go on (None: that was all)."""
        without = models.Filter(must_not=[models.HasVectorCondition(has_vector=sparse.WORDS)])
        records, following = await self._do(
            lambda client: client.scroll(name, scroll_filter=without, limit=WORDLESS_PAGE, offset=after)
        )
        return _rows(records), following

    async def store_words(self, name: str, rows: list[Row]) -> None:
        """Store the words of anchors that are there."""
        points = [
            models.PointVectors(id=str(row.anchor_id), vector={sparse.WORDS: sparse.of_anchor(row.content)})
            for row in rows
        ]
        await self._do(lambda client: client.update_vectors(name, points))

    async def describe(self, name: str, metadata: dict[str, Any]) -> None:
        """Add to its metadata."""
        await self._do(lambda client: client.update_collection(name, metadata=metadata))

    async def index(self, facts: Facts) -> None:
        """Make the payload indexes that it lacks."""
        for key in INDEXES.keys() - facts.indexed:
            await self._do(partial(_create_index, facts.name, key))

    async def page(
        self, name: str, after: PointId | None, count: int, *, vectors: bool = False
    ) -> tuple[list[Row], PointId | None]:
        """The anchors among the next `count` points, and where to go on (None: that was all)."""
        records, following = await self._do(
            lambda client: client.scroll(name, limit=count, offset=after, with_vectors=vectors)
        )
        return _rows(records), following

    async def close(self) -> None:
        """Let go of the connection."""
        await self._connection.close()

    async def _count(self, name: str, which: models.Filter | None) -> int:
        return (await self._do(lambda client: client.count(name, count_filter=which, exact=True))).count

    async def _do(self, request: Call[T]) -> T:
        try:
            return await self._connection.call(request)
        except Refused as error:
            raise StoreUnavailableError(str(error)) from error


def _rows(records: list[models.Record]) -> list[Row]:
    return [
        Row(anchor_id, content, dense(record.vector))
        for record in records
        if (anchor_id := point_id(record.id)) is not None
        and (content := from_payload(record.payload)) is not None
    ]


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
