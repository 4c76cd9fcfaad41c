"""How a recall asks a server: what goes together, what is remembered, what neighbours it learns of."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unit.anchors import reference
from unit.anchors.places import NOW, Place, anchor, query, unit
from unit.anchors.standin import StandIn
from vhm.anchors import StoreUnavailable, rarity
from vhm.anchors.rarity import Rarities
from vhm.anchors.requests import Request
from vhm.anchors.surroundings import Surroundings, Turn
from vhm.anchors.together import Together
from vhm.anchors.wire import Point, points
from vhm.contract.messages import Anchor

SIZE = 8
times = st.lists(st.sampled_from([0, 20, 40, 60, 3_000, 9_000, 9_020]), min_size=1, max_size=14)


@given(times, st.data())
def test_neighbours_are_learnt_as_they_are(seconds: list[int], data: st.DataObject) -> None:
    session = [anchor(f"turn {n}", session="s") for n in range(len(seconds))]
    said = [
        Anchor(anchor_id=one.anchor_id, text=one.text, stored_at=NOW + timedelta(seconds=s), meta=one.meta)
        for one, s in zip(session, seconds, strict=True)
    ]
    known = Surroundings()
    turns = [Turn("s", one.stored_at, one.anchor_id) for one in said]
    rows = data.draw(st.lists(st.integers(0, len(said) - 1), max_size=6))
    for row in rows:
        at = ("s", said[row].stored_at)
        if data.draw(st.booleans()):
            window = timedelta(seconds=data.draw(st.sampled_from([0, 30, 180, 7_200])))
            known.look_around([at], window, [t for t in turns if abs(t.moment - at[1]) <= window], whole=True)
        while not known.known(at):
            back, forth = known.limits(at)
            before = sorted((t for t in turns if t.moment <= at[1]), key=lambda t: t.moment, reverse=True)
            after = sorted((t for t in turns if t.moment > at[1]), key=lambda t: t.moment)
            listed = before[:back] + after[:forth]
            known.learn(at, listed, begins=len(before) < back, ends=len(after) < forth)
    for row, one in enumerate(said):
        at = ("s", one.stored_at)
        wanted = {said[other].anchor_id for other in reference.neighbours(said, row)}
        assert set(known.around(at)) <= wanted
        if known.known(at):
            assert set(known.around(at)) == wanted


def test_what_is_asked_at_once_goes_as_one_and_each_gets_its_own() -> None:
    sent: list[int] = []

    async def ask(requests: list[Request]) -> list[list[Point]]:
        sent.append(len(requests))
        await asyncio.sleep(0)
        if requests[0].limit == 99:
            raise StoreUnavailable("down")
        return [[Point(request.limit)] for request in requests]

    async def lived() -> None:
        together = Together(ask)
        some = [[Request(limit=1)], [Request(limit=2), Request(limit=3)]]
        answers = await asyncio.gather(*(together.ask(one) for one in some))
        assert [[point.id for (point,) in answer] for answer in answers] == [[1], [2, 3]]
        assert sent == [3]
        for answer in await asyncio.gather(
            together.ask([Request(limit=99)]), together.ask(some[0]), return_exceptions=True
        ):
            assert isinstance(answer, StoreUnavailable)
        assert await together.ask(some[0]) == [[Point(1)]]

    asyncio.run(lived())


def test_rarities_are_remembered_until_the_collection_has_grown(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    async def ask(requests: list[Request]) -> list[list[Point]]:
        asked.append(len(requests))
        return [[] for _ in requests]

    async def count() -> int:
        return 100

    async def lived() -> None:
        known = Rarities()
        known.settle(100)
        assert (await known.of(["a", "b"], ask, count)).keys() == {"a", "b"}
        known.settle(101)
        assert (await known.of(["b", "c"], ask, count)).keys() == {"b", "c"}
        assert asked == [2, 1]
        known.settle(103)
        await known.of(["a"], ask, count)
        assert asked == [2, 1, 1]
        monkeypatch.setattr(rarity, "KEPT_SECONDS", -1.0)
        known.settle(103)
        await known.of(["a"], ask, count)
        assert asked == [2, 1, 1, 1]

    asyncio.run(lived())


@pytest.mark.parametrize("body", [b"", b"[]", b'{"result":7}', b'{"result":[{}]}', b"\xff", b"<html>"])
def test_what_is_no_answer_to_a_query(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        points(body)


def test_a_connection_that_the_server_closed_is_made_anew(standin: StandIn) -> None:
    """Qdrant closes one that nobody used for 5 s; the stand-in when it is told to."""

    async def lived() -> None:
        async with Place(standin.url).opened() as store:
            await store.add([anchor("we met")], unit(np.ones(SIZE)))
            for _ in range(3):
                ((beat,),) = await store.recall([query(np.ones(SIZE))])
                assert beat.text == "we met"
                standin.hang_up()

    asyncio.run(lived())
