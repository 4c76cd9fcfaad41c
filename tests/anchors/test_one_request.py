"""A recall from a server is one HTTP request, whatever it needs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import msgspec
import numpy as np
import pytest
from qdrant_client import QdrantClient, models

from anchors.places import NOW, Place, anchor, fresh_name, query, unit
from anchors.standin import Answer, StandIn
from vhm.anchors import AnchorStore, Query, Ranking
from vhm.anchors.qdrant import collection
from vhm.contract.messages import Anchor

SIZE = 8


@pytest.fixture(autouse=True)
def unwatched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The watcher's own requests are not a recall's."""
    monkeypatch.setattr(collection, "LOOK_EVERY_SECONDS", 1_000.0)


def requests_of(
    standin: StandIn, anchors: Sequence[Anchor], vectors: np.ndarray, recalls: Sequence[Sequence[Query]]
) -> tuple[list[list[str]], list[list[Ranking]]]:
    """The requests that each of several recalls made, and what it found."""
    seen: list[str] = []

    def note(method: str, path: str) -> Answer | None:
        seen.append(f"{method} {path.rpartition('/points')[2]}")
        return None

    async def lived() -> tuple[list[list[str]], list[list[Ranking]]]:
        made, found = [], []
        async with Place(standin.url).opened(hybrid=True) as store:
            await store.add(anchors, vectors)
            standin.fault = note
            for queries in recalls:
                seen.clear()
                found.append(await store.recall(queries))
                made.append(list(seen))
        return made, found

    return asyncio.run(lived())


def test_words_never_asked_before_duplicates_and_an_explanation(standin: StandIn) -> None:
    anchors = [anchor(f"the violin of {n % 6}", days=1 + n, session=f"s{n % 3}") for n in range(30)]
    vectors = unit(np.random.default_rng(1).random((30, SIZE)))
    asked = [
        query(vectors[0], text="Whose violin is a comet, never heard of before?", limit=3, explain=20),
        query(vectors[1], text="What happened last week?", session_id="s1", explain=5),
        query(vectors[2], text="violin", ignore=frozenset({anchors[3].anchor_id})),
    ]
    made, found = requests_of(standin, anchors, vectors, [[one] for one in asked] + [asked])
    assert made == [["POST /query/batch"]] * 4
    for (ranking,), one in zip(found[:3], asked, strict=True):
        assert len(ranking.beats) == one.limit
        assert len(ranking.explained) == one.explain
    assert [beat.anchor_id for (ranking,) in found[:3] for beat in ranking.beats] == [
        beat.anchor_id for ranking in found[3] for beat in ranking.beats
    ], "asked at once each gets its own"


def test_another_page_only_where_repeats_leave_too_few(standin: StandIn) -> None:
    anchors = [*(anchor("Coffee", days=n / 100) for n in range(1, 60)), anchor("the wedding", days=300)]
    vectors = np.concatenate([np.tile(unit(np.eye(SIZE)[0]), (59, 1)), unit(np.ones(SIZE))])
    made, (((ranking,)),) = requests_of(standin, anchors, vectors, [[query(np.eye(SIZE)[0], limit=2)]])
    assert made == [["POST /query/batch"] * 2]
    assert [beat.text for beat in ranking.beats] == ["Coffee", "the wedding"]


def test_a_batch_of_anchors_is_an_insert_and_a_reading_between_two_looks_at_what_is_forgotten(
    standin: StandIn,
) -> None:
    seen: list[str] = []

    def note(method: str, path: str) -> Answer | None:
        seen.append(f"{method} {path.rpartition('/points')[2]}")
        return None

    def turn(seconds: int) -> Anchor:
        one = anchor(f"turn {seconds}", session="a")
        return msgspec.structs.replace(one, stored_at=NOW + timedelta(seconds=seconds))

    async def add(store: AnchorStore, *anchors: Anchor) -> list[str]:
        seen.clear()
        await store.add(anchors, unit(np.ones((len(anchors), SIZE))))
        return list(seen)

    async def lived() -> None:
        async with Place(standin.url).opened(hybrid=True) as store:
            standin.fault = note
            look, read, write = "POST /scroll", "POST /query/batch", "PUT /vectors"
            assert await add(store, anchor("without a session")) == [look, "PUT ", read, look]
            assert await add(store, turn(0), turn(10)) == [look, "PUT ", read, look]
            assert await add(store, turn(20)) == [look, "PUT ", read, write, read, look]
            assert await add(store, turn(20_000)) == [look, "PUT ", read, look]

    asyncio.run(lived())


def test_foreign_saliences_neither_fail_nor_top_a_query(server_url: str) -> None:
    place = Place(server_url, fresh_name())
    odd: list[object] = [-1.0, 0, 1e300, None, 1e-300]
    good = [anchor(f"we met {n}") for n in range(3)]

    async def lived() -> None:
        async with place.opened(hybrid=True) as store:
            await store.add(good, unit(np.eye(SIZE)[:3] + 1))
            client = QdrantClient(url=place.url, check_compatibility=False)
            payloads = [
                {"text": f"odd {n}", "stored_at": "2026-11-01T00:00:00Z", "salience": one}
                for n, one in enumerate(odd)
            ]
            client.upsert(
                place.collection,
                [
                    models.PointStruct(
                        id=str(anchor().anchor_id), vector=unit(np.eye(SIZE)[5])[0].tolist(), payload=payload
                    )
                    for payload in payloads
                ],
                wait=True,
            )
            client.close()
            asked = query(np.eye(SIZE)[0], text="who met?", diversity_threshold=1.0, base_level_weight=0.2)
            (ranking,) = await store.recall([asked])
            assert {beat.text for beat in ranking.beats} == {one.text for one in good}

    asyncio.run(lived())
