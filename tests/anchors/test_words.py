"""Recall by meaning and by words answers like a brute-force search, from either kind of store."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qdrant_client import QdrantClient, models

from anchors import reference
from anchors.places import NOW, FixedModel, Place, anchor, fresh_name, looked_at, query, strongest, unit
from anchors.standin import StandIn
from vhm.anchors import Query, WriteOutcome
from vhm.contract.messages import Anchor
from vhm.embedding import Calibration

SIZE = 8
PEOPLE = ("Anna", "Bob", "Carla", "Dora")
SPEAKERS = ("", "Anna:", "Bob:")
THINGS = ("a sourdough loaf", "the marathon in Graz", "42 tulips", "her violin", "an old Vespa", "sushi")
DEEDS = ("bought", "lost", "painted", "talked about", "fixed")
WHEN = ("", "yesterday", "last week", "in 2019")
QUESTIONS = (
    "What happened last week?",
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
    moments = [NOW - timedelta(days=float(age)) for age in 10 ** rng.uniform(-1, 2.6, size=4)]
    for _ in range(count):
        session = int(rng.integers(4))
        moments[session] += timedelta(seconds=int(rng.choice([0, 20, 900, 4000])))
        words = [rng.choice(kind) for kind in (SPEAKERS, PEOPLE, DEEDS, THINGS, WHEN)]
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
            base_level_weight=float(rng.choice([0.0, 0.2, 1.0])),
            diversity_threshold=0.95,
        )
        for _ in range(3)
    ]
    order = rng.permutation(count)
    model, place = FixedModel(calibration=calibration), place.another()

    async def recalled() -> None:
        async with place.opened(model, hybrid=True) as indexer:
            for rows in np.array_split(order, 4):
                await indexer.add([anchors[row] for row in rows], vectors[rows])
                await indexer.recall(queries[:1])
            # what was just written counts only about as many for whoever wrote it, until it looks again
            async with place.opened(model, hybrid=True) as resonance:
                answers = await strongest(resonance, queries)
        for asked, beats in zip(queries, answers, strict=True):
            if reference.tied(anchors, vectors, asked, calibration, hybrid=True):
                continue
            wanted = reference.recall(anchors, vectors, asked, calibration, hybrid=True)
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


@pytest.mark.slow
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(**STORES)
def test_server_like_brute_force(server_url: str, seed: int, count: int) -> None:
    like_brute_force(Place(server_url), seed, count)


def test_a_rare_word_finds_what_the_embedding_does_not(place: Place) -> None:
    axis = np.eye(SIZE)

    async def recalled(hybrid: bool) -> str:
        anchors = [anchor(f"we talked about plan {n}", days=n + 1) for n in range(40)]
        vectors = unit([axis[0] + 0.1 * axis[n % 7 + 1] for n in range(40)])
        async with place.another().opened(hybrid=hybrid) as store:
            await store.add(anchors, vectors)
            await store.add([anchor("Ludmila moved to Zamora")], unit(axis[3] + 0.3 * axis[0]))
            ((beat,),) = await strongest(store, [query(axis[0], text="Where is Zamora?", limit=1)])
            return beat.text

    assert asyncio.run(recalled(hybrid=False)) != "Ludmila moved to Zamora"
    assert asyncio.run(recalled(hybrid=True)) == "Ludmila moved to Zamora"


def vectors_of(place: Place, one: Anchor) -> Any:
    client = QdrantClient(url=place.url, check_compatibility=False)
    (record,) = client.retrieve(place.collection, [str(one.anchor_id)], with_vectors=True)
    client.close()
    return record.vector


def test_a_sparse_vector_exists_only_where_hybrid_recall_is_on(server_url: str) -> None:
    off, on = (Place(server_url, fresh_name()) for _ in range(2))
    one = anchor("Ludmila moved to Zamora")

    async def stored() -> None:
        async with off.opened() as store:
            await store.add([one], unit(np.ones(SIZE)))
        async with on.opened(hybrid=True) as store:
            await store.add([one], unit(np.ones(SIZE)))

    asyncio.run(stored())
    assert not looked_at(off).config.params.sparse_vectors
    assert isinstance(vectors_of(off, one), list)
    params = looked_at(on).config.params.sparse_vectors or {}
    assert {name: param.modifier for name, param in params.items()} == {"vhm_words": models.Modifier.IDF}
    # three words, month, day and year
    assert len(vectors_of(on, one)["vhm_words"].indices) == 6
    assert len(vectors_of(on, one)[""]) == SIZE


def test_turned_on_later_the_words_of_what_is_there_are_stored(server_url: str) -> None:
    place = Place(server_url, fresh_name())
    there = [anchor(f"plan {n} of Zamora", days=n + 1) for n in range(300)]

    async def lived() -> None:
        async with place.opened() as store:
            await store.add(there, unit(np.random.default_rng(0).random((300, SIZE))))
        async with place.opened(hybrid=True, maintain=True) as store:
            client = QdrantClient(url=place.url, check_compatibility=False)
            has = models.Filter(must=[models.HasVectorCondition(has_vector="vhm_words")])
            for _ in range(300):
                if client.count(place.collection, count_filter=has).count == 300:
                    break
                await asyncio.sleep(0.1)
            client.close()
            ((beat,),) = await strongest(
                store, [query(np.ones(SIZE), text="plan 217", limit=1, decay_lambda=0.0)]
            )
            assert beat.text == "plan 217 of Zamora"

    asyncio.run(asyncio.wait_for(lived(), 60))


def test_recreated_without_it_the_sparse_vector_is_added_within_a_second(server_url: str) -> None:
    place = Place(server_url, fresh_name())

    async def lived() -> None:
        async with place.opened(hybrid=True, maintain=True) as store:
            client = QdrantClient(url=place.url, check_compatibility=False)
            client.delete_collection(place.collection)
            cosine = models.VectorParams(size=SIZE, distance=models.Distance.COSINE)
            client.create_collection(place.collection, vectors_config=cosine)
            client.close()
            # before we can have noticed
            assert await store.add([anchor("we had soup")], unit(np.eye(SIZE)[0])) == [WriteOutcome.STORED]
            await asyncio.sleep(1.0)
            assert looked_at(place).config.params.sparse_vectors
            await store.add([anchor("Ludmila moved to Zamora")], unit(np.ones(SIZE)))
            (beats,) = await strongest(store, [query(np.ones(SIZE), text="Zamora")])
            assert beats[0].text == "Ludmila moved to Zamora"
            assert beats[0].similarity > 0.6

    asyncio.run(lived())


def test_a_server_that_cannot_add_one_recalls_by_meaning() -> None:
    standin = StandIn(version="1.17.1")
    cosine = models.VectorParams(size=SIZE, distance=models.Distance.COSINE)
    standin.client.create_collection("theirs", vectors_config=cosine)

    async def lived() -> None:
        async with Place(standin.url, "theirs").opened(hybrid=True) as store:
            await store.add([anchor("Ludmila moved to Zamora")], unit(np.ones(SIZE)))
            ((beat,),) = await strongest(store, [query(np.ones(SIZE), text="Zamora")])
            assert beat.similarity == pytest.approx(1.0)
            assert store.not_ready() == []
        async with Place(standin.url, "ours").opened(hybrid=True):
            assert standin.client.get_collection("ours").config.params.sparse_vectors

    asyncio.run(lived())
    assert not standin.client.get_collection("theirs").config.params.sparse_vectors
    standin.close()


def test_explained_by_meaning_and_words(place: Place) -> None:
    async def told() -> None:
        anchors = [anchor("Ludmila moved to Zamora"), anchor("we had soup"), anchor("Zamora", session="s1")]
        async with place.opened(hybrid=True) as store:
            await store.add(anchors, unit(np.eye(SIZE)[:3] + 0.5))
            asked = query(np.ones(SIZE), text="Where is Zamora?", limit=1, session_id="s1", explain=9)
            (ranking,) = await store.recall([asked])
        assert [(one.recalled.text, one.left_out) for one in ranking.explained] == [
            ("Zamora", "said in this session"),
            ("Ludmila moved to Zamora", None),
            ("we had soup", "weaker than those chosen"),
        ]

    asyncio.run(told())
