"""Nothing crosses owners, in either direction, whatever the store."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta

import msgspec
import numpy as np
import pytest

from anchors.places import NOW, FixedModel, Place, query, unit
from anchors.test_words import QUESTIONS, SIZE, conversations
from vhm.anchors import Ranking, Scope, WriteOutcome
from vhm.anchors.listing import AnchorReader, Listing
from vhm.contract.messages import Anchor

OWNERS = ("", "sam", "ann")


def owned(anchors: list[Anchor], owner: str) -> list[Anchor]:
    return [msgspec.structs.replace(anchor, owner=owner) for anchor in anchors]


def unchanged_by_others(place: Place, seed: int) -> None:
    """One owner's recalls before and after others remembered the same and more."""
    rng = np.random.default_rng(seed)
    owner, *others = rng.permutation(OWNERS)
    mine = owned(conversations(rng, int(rng.integers(1, 12))), str(owner))
    theirs = [
        anchor
        for other in others
        # some under ids that the first owner has, and with words that are rare in its memory
        for anchor in owned([*mine[:2], *conversations(rng, int(rng.integers(1, 12)))], str(other))
    ]
    vectors = unit(rng.random((len(mine), SIZE)))
    beside = unit(rng.random((len(theirs), SIZE)))
    queries = [
        query(
            rng.random(SIZE),
            scope=Scope(str(owner)),
            text=str(rng.choice(QUESTIONS)),
            limit=int(rng.integers(1, 6)),
            explain=5,
            least_match=float(rng.choice([0.0, 0.33])),
            since=NOW - timedelta(days=30) if rng.random() < 0.3 else None,
        )
        for _ in range(3)
    ]

    async def live() -> tuple[list[Ranking], list[Ranking], list[WriteOutcome], int]:
        async with place.opened(FixedModel(size=SIZE), hybrid=True) as store:
            await store.add(mine, vectors)
            before = await store.recall(queries)
            outcomes = await store.add(theirs, beside)
            return before, await store.recall(queries), outcomes, await store.count(Scope(str(owner)))

    before, after, outcomes, count = asyncio.run(live())
    assert set(outcomes) == {WriteOutcome.STORED}
    assert count == len(mine)
    for one, other in zip(before, after, strict=True):
        assert one.memories == other.memories
        if place.url.startswith("local:"):
            assert one == other
            continue
        # while one owner had all of the collection, rarity came from the server, in single precision
        assert [beat.anchor_id for beat in one.beats] == [beat.anchor_id for beat in other.beats]
        for candidate, again in zip(one.explained, other.explained, strict=True):
            assert candidate.left_out == again.left_out
            assert candidate.recalled.anchor_id == again.recalled.anchor_id
            assert candidate.recalled.match == pytest.approx(again.recalled.match, abs=1e-6)
            assert candidate.recalled.activation == pytest.approx(again.recalled.activation, abs=1e-6)


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 12))]
)
def test_what_others_remember_changes_nothing(place: Place, seed: int) -> None:
    unchanged_by_others(place, seed)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(10))
def test_what_others_remember_changes_nothing_a_thousand_times(part: int) -> None:
    for seed in range(1000 + part * 100, 1100 + part * 100):
        unchanged_by_others(Place(f"local::memory:{uuid.uuid4()}"), seed)


def test_ids_of_other_owners_are_neither_taken_nor_seen(place: Place) -> None:
    anchor_id = uuid.uuid4()
    anchors = [
        Anchor(anchor_id=anchor_id, text=f"the memory of {owner or 'nobody'}", stored_at=NOW, owner=owner)
        for owner in OWNERS
    ]

    async def live() -> None:
        async with place.opened(FixedModel(size=SIZE), hybrid=True) as store:
            outcomes = await store.add(anchors, unit(np.eye(SIZE)[: len(anchors)]))
            assert outcomes == [WriteOutcome.STORED] * 3
            changed = [msgspec.structs.replace(anchor, text="other") for anchor in anchors]
            assert set(await store.add(changed, unit(np.eye(SIZE)[:3]))) == {WriteOutcome.DIFFERENT}
            for anchor in anchors:
                assert await store.count(Scope(anchor.owner)) == 1
                [ranking] = await store.recall(
                    [query(np.ones(SIZE), scope=Scope(anchor.owner), text="memory", min_age_seconds=0)]
                )
                assert [beat.text for beat in ranking.beats] == [anchor.text]

    asyncio.run(live())


def test_an_embedded_store_lists_by_owner() -> None:
    place = Place(f"local::memory:{uuid.uuid4()}")
    anchors = [
        Anchor(anchor_id=uuid.uuid4(), text=owner, stored_at=NOW, owner=owner) for owner in ("b", "a", "")
    ]

    async def live() -> None:
        async with place.opened(FixedModel(size=SIZE)) as store:
            await store.add(anchors, unit(np.eye(SIZE)[:3]))
            reader: AnchorReader = store  # type: ignore[assignment]  # an embedded store is a reader, too
            assert await reader.owners() == ["", "a", "b"]
            for anchor in anchors:
                assert [row.anchor_id for row in await reader.page(Listing(scope=Scope(anchor.owner)))] == [
                    anchor.anchor_id
                ]

    asyncio.run(live())
