"""Anchors are immutable, whoever writes them and however often."""

from __future__ import annotations

import asyncio
import math
import uuid
from datetime import timedelta, timezone

import msgspec
import numpy as np
import pytest

from anchors.places import NOW, FixedModel, Place, anchor, query, strongest, unit
from vhm.anchors import AnchorRejectedError, WriteOutcome
from vhm.anchors.payload import Content, from_anchor, same
from vhm.contract.messages import Anchor

ONE = unit(np.ones(8))


def test_new_then_the_same(place: Place) -> None:
    async def stored() -> None:
        anchors = [anchor("a", n=1), anchor("b", days=3, salience=0.3)]
        async with place.opened() as store:
            assert await store.add([], unit(np.ones((1, 8)))[:0]) == []
            assert await store.add(anchors, unit(np.eye(8)[:2])) == [WriteOutcome.STORED, WriteOutcome.STORED]
            assert await store.add(anchors, unit(np.eye(8)[:2])) == [WriteOutcome.STORED, WriteOutcome.STORED]

    asyncio.run(stored())


def changed(anchor: Anchor, **changes: object) -> Anchor:
    return msgspec.structs.replace(anchor, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"text": "Another text"},
        {"stored_at": NOW},
        {"salience": 1.2500001},
        {"meta": {}},
        {"meta": {"session": "s1", "mood": [1, {"deep": False}]}},
        {"meta": {"session": "s1", "mood": [1, {"deep": True}], "more": None}},
    ],
)
def test_other_content_is_refused_and_what_was_there_stays(place: Place, changes: dict[str, object]) -> None:
    first = changed(anchor("first", salience=1.25), meta={"session": "s1", "mood": [1, {"deep": True}]})

    async def stored() -> None:
        async with place.opened() as store:
            assert await store.add([first], ONE) == [WriteOutcome.STORED]
            assert await store.add([changed(first, **changes)], unit(np.eye(8)[0])) == [
                WriteOutcome.DIFFERENT
            ]
            assert await store.add([first], ONE) == [WriteOutcome.STORED]
            ((beat,),) = await strongest(store, [query(np.ones(8))])
            assert (beat.text, beat.salience, beat.similarity) == ("first", 1.25, pytest.approx(1.0))

    asyncio.run(stored())


def test_a_number_of_all_digits_is_the_same_when_it_comes_back(place: Place) -> None:
    """Qdrant reads some floats as their neighbour: of these seven it was three."""
    numbers = [1.8873880711497217, 1.4911074401456925, 1.8872656966831907, 0.1 + 0.2, 2 / 3, 1.1, 2.0**0.5]
    anchors = [
        changed(anchor(f"{n}", salience=n), meta={"deep": [{"number": n, "negative": -1e-7 * n}]})
        for n in numbers
    ]

    async def stored() -> None:
        async with place.opened() as store:
            vectors = unit(np.eye(8)[: len(anchors)])
            assert await store.add(anchors, vectors) == [WriteOutcome.STORED] * len(anchors)
            assert await store.add(anchors, vectors) == [WriteOutcome.STORED] * len(anchors)

    asyncio.run(stored())


def test_floats_are_the_same_up_to_their_last_digits() -> None:
    one = anchor("a", salience=1.5)
    held = Content(one.text, one.stored_at, math.nextafter(1.5, 2), one.meta)
    content = from_anchor(one, None, None).content
    assert same(content, held)
    assert not same(content, Content(one.text, one.stored_at, 1.5 + 1e-12, one.meta))


def test_the_same_moment_in_another_offset_is_the_same_content(place: Place) -> None:
    first = anchor("first")
    elsewhere = first.stored_at.astimezone(timezone(timedelta(hours=5, minutes=30)))

    async def stored() -> list[WriteOutcome]:
        async with place.opened() as store:
            await store.add([first], ONE)
            return await store.add([changed(first, stored_at=elsewhere)], ONE)

    assert asyncio.run(stored()) == [WriteOutcome.STORED]


def test_within_one_batch_the_first_counts(place: Place) -> None:
    first = anchor("first")
    batch = [first, changed(first, text="second"), anchor("other"), first]

    async def stored() -> None:
        async with place.opened() as store:
            added = await store.add(batch, unit(np.ones((4, 8))))
            assert added == [
                WriteOutcome.STORED,
                WriteOutcome.DIFFERENT,
                WriteOutcome.STORED,
                WriteOutcome.STORED,
            ]
            assert await store.add(batch, unit(np.ones((4, 8)))) == [
                WriteOutcome.STORED,
                WriteOutcome.DIFFERENT,
                WriteOutcome.STORED,
                WriteOutcome.STORED,
            ]

    asyncio.run(stored())


def test_writers_at_once_agree_on_one_content(place: Place) -> None:
    anchor_id = uuid.uuid4()
    versions = [changed(anchor(f"version {n}"), anchor_id=anchor_id) for n in range(8)]

    async def stored() -> None:
        async with place.opened() as one, place.opened() as other:
            outcomes = await asyncio.gather(
                *((one if n % 2 else other).add([version], ONE) for n, version in enumerate(versions))
            )
            kept = [
                version.text
                for version, (state,) in zip(versions, outcomes, strict=True)
                if state is WriteOutcome.STORED
            ]
            ((beat,),) = await strongest(one, [query(np.ones(8))])
            assert kept == [beat.text]

    asyncio.run(stored())


def test_meta_of_any_json(place: Place) -> None:
    meta = {"": 0, "a.b": -0.5, "ключ": "\U0001f600", "n": None, "big": 2**63, "deep": [[[]], {"x": {}}]}

    async def stored() -> None:
        async with place.opened() as store:
            odd = changed(anchor("odd"), meta=meta)
            assert await store.add([odd], ONE) == [WriteOutcome.STORED]
            assert await store.add([odd], ONE) == [WriteOutcome.STORED]

    asyncio.run(stored())


def test_what_the_server_refuses_is_unstorable_and_nothing_else_is_lost(place: Place) -> None:
    if place.url.startswith("local:"):
        pytest.skip("an embedded store refuses no anchor")

    async def stored() -> None:
        async with place.opened(FixedModel(size=8)) as store:
            with pytest.raises(AnchorRejectedError, match="dimension"):
                await store.add([anchor("of another size")], unit(np.ones(5)))
            assert store.not_ready() == []
            assert await store.add([anchor("of the right one")], ONE) == [WriteOutcome.STORED]

    asyncio.run(stored())
