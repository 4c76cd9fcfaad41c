"""Recall by meaning and by words answers like a brute-force search, from either kind of store."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unit.anchors import reference
from unit.anchors.places import NOW, FixedModel, Place, anchor, query, unit
from vhm.anchors import Query
from vhm.contract.messages import Anchor
from vhm.embedding import Calibration

SIZE = 8
PEOPLE = ("Anna", "Bob", "Carla", "Dora")
THINGS = ("a sourdough loaf", "the marathon in Graz", "42 tulips", "her violin", "an old Vespa", "sushi")
DEEDS = ("bought", "lost", "painted", "talked about", "fixed")
WHEN = ("", "yesterday", "last week", "in 2019")
QUESTIONS = (
    "When did Anna buy the Vespa?",
    "Who painted 42 tulips last week?",
    "What did Carla lose in November 2026?",
    "the marathon in Graz",
    "Bob",
    "what is it",
    "zzz unheard of",
)


def conversations(rng: np.random.Generator, count: int) -> list[Anchor]:
    """Sessions whose turns follow one another by seconds to hours, some at the same instant."""
    anchors = []
    moments = [NOW - timedelta(days=float(age)) for age in rng.uniform(0.01, 400, size=4)]
    for _ in range(count):
        session = int(rng.integers(4))
        moments[session] += timedelta(seconds=int(rng.choice([0, 20, 900, 4000])))
        words = [rng.choice(kind) for kind in (PEOPLE, DEEDS, THINGS, WHEN)]
        anchors.append(
            Anchor(
                anchor_id=uuid.UUID(bytes=rng.bytes(16)),
                text=" ".join(words).strip() + f" {rng.integers(1000)}",
                stored_at=moments[session],
                salience=float(rng.uniform(0.3, 2.5)),
                meta={} if session == 3 else {"session": f"s{session}"},
            )
        )
    return anchors


def like_brute_force(place: Place, seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    anchors = conversations(rng, count)
    vectors = unit(rng.random((max(count, 1), SIZE)))[:count]
    calibration = Calibration(floor=0.2, good=0.7)
    queries: list[Query] = [
        query(
            rng.random(SIZE),
            text=str(rng.choice(QUESTIONS)),
            limit=int(rng.integers(1, 6)),
            session_id=rng.choice([None, "s0"]),
            ignore=frozenset({anchors[0].anchor_id} if anchors else ()),
            decay_lambda=float(rng.choice([0.0, 0.002])),
            diversity_threshold=0.95,
        )
        for _ in range(3)
    ]

    async def recalled() -> None:
        async with place.another().opened(FixedModel(calibration=calibration), hybrid=True) as store:
            await store.add(anchors[: count // 2], vectors[: count // 2])
            await store.recall(queries[:1])
            await store.add(anchors[count // 2 :], vectors[count // 2 :])
            answers = await store.recall(queries)
        for asked, beats in zip(queries, answers, strict=True):
            wanted = reference.recall(anchors, vectors, asked, calibration, words_too=True)
            assert [beat.activation for beat in beats] == pytest.approx(
                [activation for _, activation in wanted], abs=1e-5
            )
            assert [beat.anchor_id for beat in beats] == [anchor.anchor_id for anchor, _ in wanted]

    asyncio.run(recalled())


STORES = {"seed": st.integers(0, 2**32), "count": st.integers(0, 40)}


@settings(max_examples=60, deadline=None)
@given(**STORES)
def test_embedded_like_brute_force(seed: int, count: int) -> None:
    like_brute_force(Place("local::memory:brute"), seed, count)


def test_a_rare_word_finds_what_the_embedding_does_not(place: Place) -> None:
    axis = np.eye(SIZE)

    async def recalled(hybrid: bool) -> str:
        anchors = [anchor(f"we talked about plan {n}", days=n + 1) for n in range(40)]
        vectors = unit([axis[0] + 0.1 * axis[n % 7 + 1] for n in range(40)])
        async with place.another().opened(hybrid=hybrid) as store:
            await store.add(anchors, vectors)
            await store.add([anchor("Ludmila moved to Zamora")], unit(axis[3] + 0.3 * axis[0]))
            ((beat,),) = await store.recall([query(axis[0], text="Where is Zamora?", limit=1)])
            return beat.text

    assert asyncio.run(recalled(hybrid=False)) != "Ludmila moved to Zamora"
    assert asyncio.run(recalled(hybrid=True)) == "Ludmila moved to Zamora"
