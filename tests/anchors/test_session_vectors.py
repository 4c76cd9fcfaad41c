"""Whatever the order in which turns arrive, their sparse vectors end as if they had come in order."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qdrant_client import QdrantClient

from anchors import reference
from anchors.places import NOW, Place, anchor, fresh_name, query, strongest, unit, weights_of
from vhm.anchors import AnchorStore
from vhm.anchors.qdrant import session_vectors
from vhm.anchors.qdrant.client import Client, PointVectors
from vhm.anchors.qdrant.sparse import WORDS as WORDS_VECTOR
from vhm.anchors.qdrant.sparse import Numbered, SparseVector, numbered
from vhm.contract.messages import Anchor

SIZE = 8
WORDS = ["tulip", "violin", "kettle", "harbour", "lantern", "walnut", "saddle", "comet", "ferry", "garnet"]


def talk(rng: random.Random, count: int) -> list[Anchor]:
    """Turns of two sessions, seconds to hours apart, some at the same instant, and a few without one."""
    turns, moment = [], NOW - timedelta(days=3)
    for number in range(count):
        moment += timedelta(seconds=rng.choice([0, 0, 20, 900, 4_000]))
        text = f"{rng.choice(['', 'Ana: '])}{' '.join(rng.sample(WORDS, 2))} {number}{rng.choice(['', '?'])}"
        one = anchor(text, **rng.choice([{"session": "a"}, {"session": "b"}, {}]))
        turns.append(msgspec.structs.replace(one, stored_at=moment))
    return turns


def stored(place: Place) -> dict[str, Numbered]:
    """The sparse vectors that the server holds, by anchor id."""
    client = QdrantClient(url=place.url, check_compatibility=False, timeout=60)
    records, _ = client.scroll(place.collection, limit=1_000, with_vectors=True)
    client.close()
    return {str(record.id): weights_of(record) for record in records}


def expected(turns: Sequence[Anchor]) -> dict[str, Any]:
    """What they should be."""
    return {
        str(one.anchor_id): pytest.approx(numbered(dict(reference.sparse(turns, row))), abs=1e-5)
        for row, one in enumerate(turns)
    }


class Jitter:
    """Delays the requests of every store, so that they overlap in any way; some kill their store."""

    def __init__(self, rng: random.Random, deadly: float) -> None:
        self._rng = rng
        self._deadly = deadly

    def around(self, call: Any) -> Any:
        async def delayed(client: Client, request: Any) -> Any:
            await asyncio.sleep(self._rng.choice([0, 0.001, 0.01]))
            result = await call(client, request)
            if self._rng.random() < self._deadly:
                raise asyncio.CancelledError  # killed when the server had done it
            return result

        return delayed


async def deliver(store: AnchorStore, batches: list[list[Anchor]], rng: random.Random) -> None:
    """What an indexer does: a batch that it did not answer is delivered again, to whoever comes next."""
    while batches:
        batch = batches.pop(rng.randrange(len(batches)))
        try:
            await store.add(batch, unit(np.ones((len(batch), SIZE))))
        except asyncio.CancelledError:
            batches.append(batch)


@pytest.mark.slow
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), count=st.integers(1, 24), deadly=st.sampled_from([0.0, 0.1]))
def test_several_indexers_in_any_order_with_kills_between(
    server_url: str, seed: int, count: int, deadly: float
) -> None:
    rng = random.Random(seed)
    turns, place = talk(rng, count), Place(server_url, fresh_name())
    shuffled = rng.sample(turns, count)
    batches = []
    while shuffled:
        size = rng.choice([1, 1, 2, 5])
        batches.append(shuffled[:size])
        shuffled = shuffled[size:]
    batches += rng.sample(batches, len(batches) // 4)  # some are delivered twice

    async def lived() -> None:
        async with contextlib.AsyncExitStack() as stack:
            stores = [await stack.enter_async_context(place.opened(hybrid=True)) for _ in range(3)]
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(Client, "call", Jitter(rng, deadly).around(Client.call))
                await asyncio.gather(*(deliver(store, batches, rng) for store in stores))

    asyncio.run(lived())
    assert stored(place) == expected(turns)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 30))
def test_embedded_in_any_order(seed: int, count: int) -> None:
    rng = random.Random(seed)
    turns = talk(rng, count)
    place = Place(f"local::memory:{seed}")

    async def activations(order: Sequence[Anchor]) -> list[list[tuple[str, float]]]:
        async with place.opened(hybrid=True) as store:
            for one in order:
                await store.add([one], unit(np.ones(SIZE)))
            asked = [query(np.ones(SIZE), text=f"{word} Ana", limit=5) for word in WORDS]
            return [
                [(beat.text, pytest.approx(beat.activation)) for beat in beats]
                for beats in await strongest(store, asked)
            ]

    assert asyncio.run(activations(rng.sample(turns, count))) == asyncio.run(activations(turns))


def test_many_turns_of_one_moment_are_read_to_the_end(
    server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_vectors, "AFTER", 4)
    turns = [msgspec.structs.replace(anchor(f"{n} walnut", session="a"), stored_at=NOW) for n in range(30)]
    late = [
        msgspec.structs.replace(anchor(f"{n} comet", session="a"), stored_at=NOW + timedelta(seconds=s))
        for n, s in enumerate((-1, 0, 1))
    ]
    place = Place(server_url, fresh_name())

    async def lived() -> None:
        async with place.opened(hybrid=True) as store:
            await store.add(turns, unit(np.ones((30, SIZE))))
            for one in late:
                await store.add([one], unit(np.ones(SIZE)))

    asyncio.run(lived())
    assert stored(place) == expected([*turns, *late])


def test_a_write_that_failed_is_derived_again_later(server_url: str) -> None:
    turns = [
        msgspec.structs.replace(anchor(f"{word}", session="a"), stored_at=NOW + timedelta(seconds=n))
        for n, word in enumerate(WORDS)
    ]
    place = Place(server_url, fresh_name())

    async def lived() -> None:
        async with place.opened(hybrid=True) as store:
            await store.add(turns[1:], unit(np.ones((9, SIZE))))
            vectors = store._vectors  # type: ignore[attr-defined]
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(Client, "update_vectors", timed_out_update)
                with pytest.raises(session_vectors.StoreUnavailableError):
                    await store.add(turns[:1], unit(np.ones(SIZE)))
            assert stored(place) != expected(turns)
            await vectors.derive_uncertain(place.collection)

    asyncio.run(lived())
    assert stored(place) == expected(turns)


def test_what_a_killed_indexer_wrote_late_is_derived_again_when_its_anchor_comes_again(
    server_url: str,
) -> None:
    turns = [
        msgspec.structs.replace(anchor(f"{word}", session="a"), stored_at=NOW + timedelta(seconds=n))
        for n, word in enumerate(WORDS)
    ]
    place = Place(server_url, fresh_name())

    async def lived() -> None:
        async with place.opened(hybrid=True) as store:
            await store.add(turns, unit(np.ones((10, SIZE))))
            late = PointVectors(str(turns[6].anchor_id), {WORDS_VECTOR: SparseVector([1], [1.0])})
            client = Client(server_url)
            await client.update_vectors(place.collection, [late])
            await client.close()
            assert stored(place) != expected(turns)
            await store.add(turns[1:2], unit(np.ones(SIZE)))

    asyncio.run(lived())
    assert stored(place) == expected(turns)


async def timed_out_update(*_: object) -> None:
    """An update of vectors that is never answered, nor done."""
    raise session_vectors.StoreUnavailableError("no answer within 5 s")
