"""How a recall asks a server: what goes together, what is remembered, what neighbours it learns of."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from qdrant_client import models

from anchors import reference
from anchors.places import NOW, Place, anchor, query, unit
from anchors.standin import StandIn
from vhm.anchors import StoreUnavailableError
from vhm.anchors.qdrant import experience as experience_of
from vhm.anchors.qdrant import idf as rarity
from vhm.anchors.qdrant.client import Connection
from vhm.anchors.qdrant.experience import Experience
from vhm.anchors.qdrant.idf import Rarities
from vhm.anchors.qdrant.requests import Request, numbers
from vhm.anchors.qdrant.surroundings import Surroundings, Turn
from vhm.anchors.qdrant.together import Together
from vhm.anchors.qdrant.wire import Point, points
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
        while known.open(at):
            back, forth = known.limits(at)
            before = sorted((t for t in turns if t.moment <= at[1]), key=lambda t: t.moment, reverse=True)
            after = sorted((t for t in turns if t.moment > at[1]), key=lambda t: t.moment)
            listed = before[:back] + after[:forth]
            known.learn(at, listed, begins=len(before) < back, ends=len(after) < forth)
    for row, one in enumerate(said):
        at = ("s", one.stored_at)
        wanted = {said[other].anchor_id for other in reference.neighbours(said, row)}
        assert set(known.around(at)) <= wanted
        if not known.open(at):
            assert set(known.around(at)) == wanted


def test_what_is_asked_at_once_goes_as_one_and_each_gets_its_own() -> None:
    sent: list[int] = []

    async def ask(requests: list[Request]) -> list[list[Point]]:
        sent.append(len(requests))
        await asyncio.sleep(0)
        if requests[0].limit == 99:
            raise StoreUnavailableError("down")
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
            assert isinstance(answer, StoreUnavailableError)
        assert await together.ask(some[0]) == [[Point(1)]]

    asyncio.run(lived())


def test_rarities_are_remembered_until_the_collection_has_grown(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    async def ask(requests: list[Request]) -> list[list[Point]]:
        asked.append(len(requests))
        return [[] for _ in requests]

    async def count(which: models.Filter) -> int:
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


def test_what_is_searched_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The important, and the fresh unless they are most; asked anew after a while."""
    fresh, asked = 900, []

    async def estimate(which: models.Filter) -> int:
        asked.append(which)
        conditions = [one.key for one in which.must or [] if isinstance(one, models.FieldCondition)]
        return {(): 1_000, ("salience",): 30, ("salience", "stored_at"): 10, ("stored_at",): fresh}[
            tuple(conditions)
        ]

    def keys(kinds: list[models.Filter]) -> list[int]:
        return [len(kind.must) for kind in kinds if isinstance(kind.must, list)]

    async def lived() -> None:
        nonlocal fresh
        experience, one = Experience(), query(np.ones(SIZE))
        assert keys(await experience.favoured(one, estimate)) == [2]
        fresh = 100
        assert keys(await experience.favoured(one, estimate)) == [2]
        assert len(asked) == 3
        monkeypatch.setattr(experience_of, "KEPT_SECONDS", -1.0)
        assert keys(await experience.favoured(one, estimate)) == [2, 1]
        undecayed = msgspec.structs.replace(one, decay_lambda=0.0)
        assert keys(await experience.favoured(undecayed, estimate)) == [1]

    asyncio.run(lived())


def test_how_far_to_look_around_is_learnt() -> None:
    experience = Experience()
    experience.apart([timedelta(seconds=20)] * 60 + [timedelta(hours=1)] * 4)
    assert experience.window == timedelta(seconds=20)
    experience.apart([timedelta(minutes=5), None] * 5)
    assert experience.window == timedelta(minutes=5)
    experience.apart([None] * 40)
    assert experience.window == timedelta(hours=1)


def test_how_near_what_was_not_searched_for_is_is_learnt() -> None:
    experience = Experience()
    for _ in range(40):
        experience.met([0.1, 0.2, 0.3] * 30)
    assert experience.usual_cosine == pytest.approx(0.2, abs=0.01)


@given(arrays(np.float32, 384, elements=st.floats(-1, 1, width=32)))
def test_a_query_is_written_as_it_is(vector: NDArray[np.float32]) -> None:
    assert np.abs(msgspec.json.decode(numbers(vector)) - vector).max() <= 1e-9


def test_queries_go_through_the_proxy_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    async def served() -> bytes:
        lines: list[bytes] = []

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            lines.append(await reader.readline())
            body = b'{"result":[{"points":[]}]}'
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as proxy:
            port = proxy.sockets[0].getsockname()[1]
            monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
            monkeypatch.delenv("no_proxy", raising=False)
            monkeypatch.delenv("NO_PROXY", raising=False)
            connection = Connection("http://qdrant.invalid:6333")
            assert await connection.query("anchors", [Request(limit=1)]) == [[]]
            await connection.close()
        return lines[0]

    line = asyncio.run(served())
    assert line.startswith(b"POST http://qdrant.invalid:6333/collections/anchors/points/query/batch ")


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
