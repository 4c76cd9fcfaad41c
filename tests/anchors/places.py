"""Stores to test, filled by a model whose vectors a test chooses."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
from qdrant_client import QdrantClient, models

from anchors.standin import StandIn
from vhm.anchors import AnchorStore, Query, Recalled, Scope, open_store
from vhm.anchors.qdrant.sparse import WORDS, Numbered
from vhm.contract.env_loader import Secret
from vhm.contract.messages import Anchor
from vhm.contract.settings import EmbeddingSettings
from vhm.embedding import Calibration

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def weights_of(record: models.Record) -> Numbered:
    """The sparse vector that a point came back with; none where it has none."""
    words = record.vector.get(WORDS) if isinstance(record.vector, dict) else None
    if not isinstance(words, models.SparseVector):
        return {}
    return dict(zip(words.indices, words.values, strict=True))


made: list[str] = []
"""Names of collections that tests of this process used."""


def fresh_name() -> str:
    """A collection that is deleted at the end."""
    made.append(f"vhm-test-{uuid.uuid4()}")
    return made[-1]


@contextmanager
def own_server() -> Iterator[str]:
    """The address of a real server where QDRANT_URL names one, else of a stand-in; what was made on it is
    deleted."""
    url = os.environ.get("QDRANT_URL")
    if url is None:
        standin = StandIn()
        try:
            yield standin.url
        finally:
            standin.close()
        return
    yield url
    client = QdrantClient(url=url, check_compatibility=False)
    for collection in client.get_collections().collections:
        if collection.name.startswith(tuple(made)):
            client.delete_collection(collection.name)
    client.close()


class FixedModel(msgspec.Struct, kw_only=True):
    """An embedding model as far as a store asks."""

    name: str = "deterministic"
    size: int = 8
    calibration: Calibration = Calibration()


class Place(msgspec.Struct):
    """Where a store is."""

    url: str
    collection: str = "anchors"

    async def open(
        self, model: FixedModel | None = None, *, hybrid: bool = False, maintain: bool = False
    ) -> AnchorStore:
        """One more store on the same collection."""
        return await open_store(self.settings(hybrid=hybrid), model or FixedModel(), maintain=maintain)

    def settings(self, api_key: str | None = None, *, hybrid: bool = False) -> EmbeddingSettings:
        """What a worker reads."""
        return EmbeddingSettings(
            qdrant_api_key=Secret(api_key) if api_key else None,
            kafka_bootstrap_servers="127.0.0.1:9",
            qdrant_url=self.url,
            qdrant_collection=self.collection,
            embedding_model="deterministic",
            hybrid_recall=hybrid,
        )

    @asynccontextmanager
    async def keeper(self) -> AsyncIterator[None]:
        """An embedded store in memory lives as long as somebody has it open: somebody has, here."""
        beside = Place(self.url, f"{self.collection}-beside")
        async with beside.opened():
            yield

    @asynccontextmanager
    async def opened(
        self, model: FixedModel | None = None, *, hybrid: bool = False, maintain: bool = False
    ) -> AsyncIterator[AnchorStore]:
        """One more store, closed at the end."""
        store = await self.open(model, hybrid=hybrid, maintain=maintain)
        try:
            yield store
        finally:
            await store.close()

    def another(self) -> Place:
        """An empty store beside this one."""
        if self.url.startswith("local::memory:"):
            return Place(f"local::memory:{uuid.uuid4()}")
        return Place(self.url, fresh_name())


def unit(rows: Any) -> np.ndarray:
    """Rows of length 1."""
    vectors = np.atleast_2d(np.asarray(rows, dtype=np.float32))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def anchor(text: str = "we met", days: float = 1.0, salience: float = 1.0, **meta: Any) -> Anchor:
    """An anchor that many days old at NOW."""
    return Anchor(
        anchor_id=uuid.uuid4(),
        text=text,
        stored_at=NOW - timedelta(days=days),
        salience=salience,
        meta=meta,
    )


def query(vector: Sequence[float] | np.ndarray, **changes: Any) -> Query:
    """A query at NOW, by the published formula unless changed."""
    defaults = {
        "scope": Scope(""),
        "vector": unit(vector)[0],
        "text": "",
        "now": NOW,
        "base_level_weight": 1.0,
    }
    return Query(**defaults | changes)


async def strongest(store: AnchorStore, queries: Sequence[Query]) -> list[list[Recalled]]:
    """What each query finds."""
    return [ranking.beats for ranking in await store.recall(queries)]


def looked_at(place: Place) -> models.CollectionInfo:
    """The collection as Qdrant's own client sees it."""
    client = QdrantClient(url=place.url, check_compatibility=False)
    try:
        return client.get_collection(place.collection)
    finally:
        client.close()
