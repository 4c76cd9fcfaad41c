"""Recall answers like a brute-force search over the whole store, from either kind of store."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from anchors import reference
from anchors.places import NOW, FixedModel, Place, anchor, query, strongest, unit
from vhm.anchors import Query, Scope
from vhm.contract.messages import Anchor
from vhm.embedding import Calibration

SIZE = 8
CALIBRATIONS = (Calibration(), Calibration(floor=0.2, good=0.7))


def random_store(rng: np.random.Generator, count: int) -> tuple[list[Anchor], np.ndarray]:
    """Few themes and few words, so that much repeats and resembles; no two activations alike."""
    themes = rng.random((4, SIZE))
    spread = 10 ** rng.uniform(-2, 0)
    vectors = unit(themes[rng.integers(4, size=count)] + spread * rng.random((count, SIZE)))
    ages = 10 ** rng.uniform(-5, 3.5, size=count) * rng.choice([1, -1], size=count, p=[0.9, 0.1])
    anchors = [
        Anchor(
            anchor_id=uuid.UUID(bytes=rng.bytes(16)),
            text=str(rng.choice([" Walked  ", "walked", "rained", f"thing {row}"])),
            stored_at=NOW - timedelta(days=float(age)),
            salience=float(rng.uniform(0.3, 2.5)),
            meta={"session": f"s{rng.integers(3)}"} if rng.random() < 0.5 else {},
        )
        for row, age in enumerate(ages)
    ]
    return anchors, vectors


def random_query(rng: np.random.Generator, anchors: list[Anchor]) -> Query:
    ignored = rng.integers(len(anchors), size=rng.integers(3)) if anchors else ()
    return query(
        rng.random(SIZE),
        limit=int(rng.integers(1, 9)),
        session_id=rng.choice([None, "s0", "s1", "nobody's"]),
        ignore=frozenset(anchors[row].anchor_id for row in ignored),
        decay_lambda=float(rng.choice([0.0, 0.002, 0.5])),
        diversity_threshold=float(rng.choice([0.85, 0.99, 1.0])),
        base_level_weight=float(rng.choice([0.0, 0.2, 1.0])),
        min_age_seconds=float(rng.choice([0.0, 5.0, 86_400.0])),
    )


def like_brute_force(place: Place, seed: int, count: int, calibration: Calibration) -> None:
    rng = np.random.default_rng(seed)
    anchors, vectors = random_store(rng, count)
    queries = [random_query(rng, anchors) for _ in range(4)]

    async def recalled() -> None:
        async with place.another().opened(FixedModel(calibration=calibration)) as store:
            await store.add(anchors, vectors)
            answers = await strongest(store, queries)
        for asked, beats in zip(queries, answers, strict=True):
            if reference.tied(anchors, vectors, asked, calibration):
                continue
            wanted = reference.recall(anchors, vectors, asked, calibration)
            assert [beat.anchor_id for beat in beats] == [anchor.anchor_id for anchor, _ in wanted]
            assert [beat.activation for beat in beats] == pytest.approx(
                [activation for _, activation in wanted], abs=1e-5
            )
            for beat in beats:
                base = (beat.decay * beat.salience) ** asked.base_level_weight
                assert beat.activation == pytest.approx(beat.similarity * base)
                assert beat.match == beat.similarity

    asyncio.run(recalled())


STORES = {
    "seed": st.integers(0, 2**32),
    "count": st.integers(0, 60),
    "calibration": st.sampled_from(CALIBRATIONS),
}


@settings(max_examples=60, deadline=None)
@example(seed=353, count=20, calibration=CALIBRATIONS[0])  # an activation of 6e-59 is more than one of 1e-227
@given(**STORES)
def test_embedded_like_brute_force(seed: int, count: int, calibration: Calibration) -> None:
    like_brute_force(Place("local::memory:brute"), seed, count, calibration)


@pytest.mark.slow
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(**STORES)
def test_server_like_brute_force(server_url: str, seed: int, count: int, calibration: Calibration) -> None:
    like_brute_force(Place(server_url), seed, count, calibration)


@pytest.mark.slow
@settings(max_examples=1_000, deadline=None)
@example(seed=67361307, count=37, calibration=CALIBRATIONS[0])  # two activations differ by 2e-10
@given(**STORES)
def test_embedded_like_brute_force_a_thousand_times(seed: int, count: int, calibration: Calibration) -> None:
    like_brute_force(Place("local::memory:brute"), seed, count, calibration)


@pytest.mark.parametrize("hybrid", [False, True])
def test_an_old_important_memory_behind_a_thousand_recent_trivial_ones(place: Place, hybrid: bool) -> None:
    async def recalled() -> list[str]:
        rng = np.random.default_rng(1)
        many = 1000 if place.url.startswith("local:") else 150  # more than one prefetch; the stand-in is slow
        like_the_query = unit(np.eye(SIZE)[0] + 0.05 * rng.random((many, SIZE)))
        trivial = [anchor(f"coffee {n}", days=n / 100 + 1, salience=0.3) for n in range(many)]
        vectors = np.concatenate([like_the_query, unit(np.eye(SIZE)[0] + np.eye(SIZE)[1])])
        async with place.opened(hybrid=hybrid) as store:
            await store.add([*trivial, anchor("the wedding", days=300, salience=2.5)], vectors)
            (beats,) = await strongest(store, [query(np.eye(SIZE)[0])])
            return [beat.text for beat in beats]

    assert asyncio.run(recalled())[0] == "the wedding"


@pytest.mark.parametrize("hybrid", [False, True])
def test_a_recent_memory_behind_many_old_ones_that_are_nearer(place: Place, hybrid: bool) -> None:
    async def recalled() -> list[str]:
        rng = np.random.default_rng(1)
        nearer = unit(np.eye(SIZE)[0] + 0.05 * rng.random((60, SIZE)))
        old = [anchor(f"coffee {n}", days=2000 + n) for n in range(60)]
        vectors = np.concatenate([nearer, unit(np.eye(SIZE)[0] + np.eye(SIZE)[1])])
        async with place.opened(hybrid=hybrid) as store:
            await store.add([*old, anchor("the wedding", days=3)], vectors)
            (beats,) = await strongest(store, [query(np.eye(SIZE)[0])])
            return [beat.text for beat in beats]

    assert asyncio.run(recalled())[0] == "the wedding"


def test_something_else_behind_many_repeats(place: Place) -> None:
    async def recalled() -> list[str]:
        many = [anchor("  Coffee" if n % 2 else "coffee", days=n / 100) for n in range(1, 100)]
        vectors = np.concatenate([np.tile(unit(np.eye(SIZE)[0]), (99, 1)), unit(np.ones(SIZE))])
        async with place.opened() as store:
            await store.add([*many, anchor("the wedding", days=300)], vectors)
            (beats,) = await strongest(store, [query(np.eye(SIZE)[0], limit=2)])
            return [beat.text.strip().lower() for beat in beats]

    assert asyncio.run(recalled()) == ["coffee", "the wedding"]


def test_five_seconds_make_a_memory(place: Place) -> None:
    async def recalled() -> list[str]:
        ages = {"five": 5, "almost": 4.999, "tomorrow": -86_400}
        anchors = [anchor(text, days=seconds / 86_400) for text, seconds in ages.items()]
        async with place.opened() as store:
            await store.add(anchors, unit(np.eye(SIZE)[:3] + 0.1))
            (beats,) = await strongest(store, [query(np.ones(SIZE))])
            assert await store.count(Scope("")) == 3
            return [beat.text for beat in beats]

    assert asyncio.run(recalled()) == ["five"]


def test_explained_with_the_reason_for_each_that_is_no_beat(place: Place) -> None:
    axis = np.eye(SIZE)

    async def told() -> dict[str, str | None]:
        anchors = [
            anchor("beat", days=1),
            anchor(" BEAT ", days=2),
            anchor("like it", days=3),
            anchor("another", days=1),
            anchor("weak", days=1, salience=0.3),
            anchor("mine", days=1, session="s1"),
            anchor("just now", days=0),
            anchor("unwanted", days=1),
        ]
        rows = [axis[0], axis[0], axis[0] + 0.01, axis[0] + axis[1], axis[2] + axis[0]]
        vectors = unit([*rows, axis[0], axis[0], axis[0]])
        asked = query(axis[0], limit=2, session_id="s1", ignore={anchors[7].anchor_id}, explain=20)
        async with place.opened() as store:
            await store.add(anchors, vectors)
            (ranking,) = await store.recall([asked])
            explained = ranking.explained
        strengths = [one.recalled.activation for one in explained]
        assert strengths == sorted(strengths, reverse=True)
        return {one.recalled.text: one.left_out for one in explained}

    reasons = asyncio.run(told())
    assert reasons.pop("beat") is None
    assert reasons.pop("another") is None
    assert reasons.pop(" BEAT ").startswith("same text as ")
    assert reasons.pop("like it").startswith("cosine ")
    assert reasons == {
        "weak": "weaker than those chosen",
        "mine": "said in this session",
        "just now": "younger than 5 s",
        "unwanted": "to be ignored",
    }


def test_a_text_with_nothing_to_embed_is_stored_and_found_last(place: Place) -> None:
    nothing = np.zeros((1, SIZE), dtype=np.float32)

    async def recalled() -> None:
        async with place.opened() as store:
            await store.add([anchor("   "), anchor("word")], np.concatenate([nothing, unit(np.ones(SIZE))]))
            (beats,) = await strongest(store, [query(np.ones(SIZE))])
            assert [(beat.text, beat.activation > 0) for beat in beats] == [("word", True), ("   ", False)]
            empty = Query(scope=Scope(""), vector=nothing[0], text=" ", now=NOW)
            assert len((await strongest(store, [empty]))[0]) == 2

    asyncio.run(recalled())
