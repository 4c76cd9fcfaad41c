"""A collection of the version before comes along while it is recalled from and written to."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator, Sequence
from datetime import timedelta

import msgspec
import numpy as np
import pytest
from qdrant_client import QdrantClient, models

from anchors.places import NOW, Place, anchor, fresh_name, query, unit
from anchors.test_session_vectors import expected, stored
from vhm.anchors import AnchorStore, Query
from vhm.anchors.payload import Row
from vhm.anchors.qdrant import collection, sparse
from vhm.anchors.qdrant import store as qdrant_store
from vhm.anchors.qdrant.session_vectors import Held, SessionVectors
from vhm.contract.messages import Anchor
from vhm.memory.anchor_terms import turn_terms

SIZE = 8
TURNS = [
    msgspec.structs.replace(
        anchor(f"turn {n} about the {word}", session="abcdef"[n // 12]),
        stored_at=NOW - timedelta(days=1, seconds=-30 * n),
    )
    for n, word in enumerate(["tulip", "violin", "kettle", "harbour", "lantern", "walnut"] * 12)
]
FOREIGN_ID = str(uuid.UUID(int=7))
VECTORS = unit(np.random.default_rng(3).random((len(TURNS), SIZE)))


@pytest.fixture
def place(server_url: str) -> Iterator[Place]:
    """A collection as the version before left it."""
    place = Place(server_url, fresh_name())
    client = QdrantClient(url=place.url, check_compatibility=False, timeout=60)
    client.create_collection(
        place.collection,
        vectors_config=models.VectorParams(size=SIZE, distance=models.Distance.COSINE),
        sparse_vectors_config={"vhm_words": models.SparseVectorParams(modifier=models.Modifier.IDF)},
        metadata={"vhm_model": "deterministic"},
    )
    write_as_before(client, place, TURNS, VECTORS)
    # another program's: no anchor, and one that says it is of the owner "" instead of saying nothing
    nobodys = {"text": "a foreign violin", "stored_at": NOW.isoformat(), "vhm_owner": ""}
    theirs = [(7, {"theirs": True}), (FOREIGN_ID, nobodys)]
    client.upsert(
        place.collection,
        [models.PointStruct(id=one, vector=[1.0] * SIZE, payload=payload) for one, payload in theirs],
    )
    yield place
    client.close()


def write_as_before(client: QdrantClient, place: Place, turns: Sequence[Anchor], vectors: np.ndarray) -> None:
    """Insert anchors as that version's indexer does: with the words of their own text."""
    points = []
    for turn, vector in zip(turns, vectors, strict=True):
        weights = sparse.numbered(dict(turn_terms(turn.text, turn.stored_at).context))
        words = models.SparseVector(indices=list(weights), values=list(weights.values()))
        payload = {
            "text": turn.text,
            "stored_at": turn.stored_at.isoformat(),
            "salience": turn.salience,
            "meta": turn.meta,
            "vhm_model": "deterministic",
        }
        points.append(
            models.PointStruct(
                id=str(turn.anchor_id), vector={"": vector.tolist(), "vhm_words": words}, payload=payload
            )
        )
    client.upsert(place.collection, points, update_mode=models.UpdateMode.INSERT_ONLY)


async def until_current(place: Place, turns: Sequence[Anchor]) -> None:
    began = time.monotonic()
    wanted, held = expected(turns), {}
    while held != wanted:
        assert time.monotonic() - began < 60
        await asyncio.sleep(0.3)
        held = await asyncio.to_thread(stored, place)
        del held["7"], held[FOREIGN_ID]


async def until_nothing_is_found(memory: AnchorStore, asked: Query) -> None:
    began = time.monotonic()
    while (await memory.recall([asked]))[0].beats:
        assert time.monotonic() - began < 30, "the floor holds once all is of one shape"
        await asyncio.sleep(0.1)


def test_sparse_vectors_are_rewritten_while_old_indexers_write_on(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qdrant_store, "MAINTAIN_EVERY_SECONDS", 0.2)
    monkeypatch.setattr(collection, "POINTS_EVERY_SECONDS", 0.2)
    late = [msgspec.structs.replace(anchor("a late walnut", session="c"), stored_at=TURNS[30].stored_at)]
    asked = [query(VECTORS[n], text="violin", limit=3, decay_lambda=0.0) for n in range(0, 72, 20)]
    irrelevant = query(VECTORS[0], text="quantum chromodynamics", least_match=0.99)

    async def lived() -> None:
        async with place.opened(hybrid=True) as resonance:
            assert (await resonance.recall([irrelevant]))[0].beats, "no floor until all is of one shape"
            async with place.opened(hybrid=True, maintain=True), place.opened(hybrid=True, maintain=True):
                done = asyncio.create_task(until_current(place, TURNS))
                while not done.done():
                    for ranking in await resonance.recall(asked):
                        assert len(ranking.beats) == 3
                        assert "violin" in ranking.beats[0].text
                    await asyncio.sleep(0.05)
                await done
                client = QdrantClient(url=place.url, check_compatibility=False, timeout=60)
                write_as_before(client, place, late, VECTORS[:1])
                client.close()
                await until_current(place, [*TURNS, *late])
                await until_nothing_is_found(resonance, irrelevant)

    asyncio.run(lived())


def test_an_interrupted_pass_goes_on_where_it_was(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qdrant_store, "OUTDATED_PAGE", 4)
    asked: list[int] = []

    async def lived() -> None:
        stopped = asyncio.Event()
        derive = SessionVectors.derive

        async def noted(vectors: SessionVectors, name: str, anchors: Sequence[Row]) -> Held:
            asked.append(len(anchors))
            if len(asked) == 2:
                stopped.set()
                await asyncio.sleep(3_600)
            return await derive(vectors, name, anchors)

        monkeypatch.setattr(SessionVectors, "derive", noted)
        async with place.opened(hybrid=True, maintain=True):
            await asyncio.wait_for(stopped.wait(), timeout=60)
        async with place.opened(hybrid=True, maintain=True):
            await until_current(place, TURNS)

    asyncio.run(lived())
    assert sum(asked) - asked[1] <= len(TURNS), "what was done is not done again"
