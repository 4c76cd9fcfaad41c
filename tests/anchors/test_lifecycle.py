"""Forgetting, superseding and expiring: the same from either store, in whatever order it comes."""

from __future__ import annotations

import asyncio
import functools
import random
import uuid
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qdrant_client import QdrantClient, models

from anchors.places import NOW, Place, anchor, fresh_name, query, unit
from anchors.test_session_vectors import stored, talk
from vhm.anchors import AnchorStore, Delivery, Scope, Tombstone, WriteOutcome
from vhm.anchors.qdrant.store import QdrantStore
from vhm.contract.messages import Anchor

LATER, EARLIER = Delivery(2_000), Delivery(1_000)
VECTOR = np.ones(8)


def awaited(test: Callable[..., Coroutine[None, None, None]]) -> Callable[..., None]:
    """A test that is a coroutine, run to its end."""

    @functools.wraps(test)
    def run(*args: object, **kwargs: object) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


def vectors(count: int) -> np.ndarray:
    """Vectors that differ from one another."""
    return unit(np.eye(8)[np.arange(count) % 8] + 0.2)


async def write(store: AnchorStore, *anchors: Anchor, delivery: Delivery = EARLIER) -> list[WriteOutcome]:
    """Store anchors, all of one delivery."""
    return await store.add(anchors, vectors(len(anchors)), [delivery] * len(anchors))


async def recalled(store: AnchorStore, text: str = "", owner: str = "") -> set[str]:
    """The texts of all beats."""
    asked = query(VECTOR, scope=Scope(owner), limit=50, text=text, diversity_threshold=2.0)
    return {beat.text for beat in (await store.recall([asked]))[0].beats}


async def reasons(store: AnchorStore) -> dict[str, str | None]:
    """Why each candidate is no beat."""
    ranking = (await store.recall([query(VECTOR, limit=50, explain=50)]))[0]
    return {one.recalled.text: one.left_out for one in ranking.explained}


def by_id(*anchors: Anchor) -> list[Tombstone]:
    return [Tombstone(owner=one.owner, written=1_500, anchor_id=one.anchor_id) for one in anchors]


@pytest.mark.parametrize(
    ("tombstone", "left"),
    [
        (Tombstone(owner="", written=1_500, session="s"), {"old", "new", "late in s"}),
        (Tombstone(owner="", written=1_500, before=NOW - timedelta(days=5)), {"new", "in s", "late in s"}),
        (Tombstone(owner="", written=1_500), {"late in s"}),
        (Tombstone(owner="sam", written=1_500), {"old", "new", "in s", "late in s"}),
    ],
)
@awaited
async def test_a_bound_forgets_what_was_written_before_it(
    place: Place, tombstone: Tombstone, left: set[str]
) -> None:
    async with place.opened() as store:
        early = [anchor("old", 9), anchor("new", 1), anchor("in s", 2, session="s")]
        late = anchor("late in s", 2, session="s")
        await write(store, *early)
        await write(store, late, delivery=LATER)
        assert await store.forget([tombstone]) == 4 - len(left)
        assert await recalled(store) == left
        # everything comes again, as from a log that is read from its start
        outcomes = await write(store, *early)
        assert outcomes.count(WriteOutcome.FORGOTTEN) == 4 - len(left)
        await write(store, late, delivery=LATER)
        assert await recalled(store) == left
        # said anew after that, it is a memory again
        assert await write(store, *early, delivery=LATER) == [WriteOutcome.STORED] * 3
        assert await recalled(store) == {"old", "new", "in s", "late in s"}


@awaited
async def test_an_id_that_was_forgotten_never_comes_back(place: Place) -> None:
    async with place.opened() as store:
        gone, kept, never = anchor("gone"), anchor("kept"), anchor("never came")
        await write(store, gone, kept)
        assert await store.forget(by_id(gone, never)) == 1
        assert await store.forget(by_id(gone, never)) == 0
        assert await write(store, gone, never, delivery=LATER) == [WriteOutcome.FORGOTTEN] * 2
        assert await recalled(store) == {"kept"}
        assert await store.count(Scope("")) == 1


def test_a_writer_that_is_killed_before_it_looked_for_tombstones_leaves_nothing(
    server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is forgotten while it is written, and the writer dies when it has inserted it."""
    place, insert = Place(server_url, fresh_name()), QdrantStore._upsert
    said = [anchor(text, 3 - n / 1440, session="s") for n, text in enumerate(["of okapis", "of rain"])]

    async def lived() -> None:
        async with place.opened(hybrid=True) as killed, place.opened(hybrid=True) as other:

            async def forgotten_meanwhile(self: QdrantStore, *args: Any) -> str:
                await other.forget(by_id(said[0]))
                await insert(self, *args)
                raise asyncio.CancelledError

            with monkeypatch.context() as patched:
                patched.setattr(QdrantStore, "_upsert", forgotten_meanwhile)
                with pytest.raises(asyncio.CancelledError):
                    await write(killed, *said)
            assert await write(other, *said) == [WriteOutcome.FORGOTTEN, WriteOutcome.STORED]
            assert await recalled(other) == {"of rain"}
            assert await other.count(Scope("")) == 1
            assert (await other.recall([query(VECTOR, text="okapis")]))[0].beats[0].match == pytest.approx(
                (await other.recall([query(VECTOR, text="gnus")]))[0].beats[0].match
            )

    asyncio.run(lived())


@awaited
async def test_nothing_is_forgotten_across_owners(place: Place) -> None:
    async with place.opened() as store:
        of_sam = msgspec.structs.replace(anchor("of sam"), owner="sam")
        nameless = msgspec.structs.replace(of_sam, owner="", text="of nobody")
        await write(store, of_sam, nameless)
        stolen = Scope("sam").point_id(of_sam.anchor_id)
        assert await store.forget([Tombstone(owner="", written=9, anchor_id=stolen)]) == 0
        assert await store.forget(by_id(nameless)) == 1
        assert await recalled(store, owner="sam") == {"of sam"}


@awaited
async def test_neighbours_lose_the_words_of_what_is_forgotten(place: Place) -> None:
    def turns() -> list[Anchor]:
        texts = ["we spoke of okapis", "then of rain", "and of bread"]
        return [anchor(text, 3 - minute / 1440, session="s") for minute, text in enumerate(texts)]

    async with (
        place.opened(hybrid=True) as store,
        place.another().opened(hybrid=True) as never,
    ):
        said = turns()
        await write(store, *said)
        await write(never, *said[1:])
        await store.forget(by_id(said[0]))
        asked = query(VECTOR, text="okapis", limit=3)
        [after], [pure] = await store.recall([asked]), await never.recall([asked])
        assert {beat.text: beat.match for beat in after.beats} == pytest.approx(
            {beat.text: beat.match for beat in pure.beats}
        )


@given(seed=st.integers(0, 2**32), count=st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_an_embedded_store_is_as_if_what_was_forgotten_had_never_been_said(seed: int, count: int) -> None:
    rng = random.Random(seed)
    said = talk(rng, count)
    parts = [rng.sample(said, rng.randint(0, count)) for _ in range(2)]
    gone = {one.anchor_id for part in parts for one in part}
    embedded = dict(zip([one.anchor_id for one in said], vectors(count), strict=True))
    place = Place(f"local::memory:{seed}")

    async def ranked(store: AnchorStore) -> list[list[tuple[str, float, float]]]:
        asked = [
            query(VECTOR, text=text, limit=50, diversity_threshold=2.0, session_id=session)
            for text, session in (("tulip violin Ana", None), ("kettle comet", "a"), ("when? ferry", "b"))
        ]
        rankings = await store.recall(asked)
        return [sorted((one.text, one.match, one.activation) for one in each.beats) for each in rankings]

    async def add(store: AnchorStore, anchors: Sequence[Anchor]) -> None:
        if anchors:
            await store.add(anchors, np.stack([embedded[one.anchor_id] for one in anchors]))

    async def lived() -> None:
        async with place.opened(hybrid=True) as store, place.another().opened(hybrid=True) as pure:
            half = count // 2
            await add(store, said[:half])
            await store.forget(by_id(*parts[0]))
            await add(store, [one for one in said[half:] if one not in parts[0]])
            await store.forget(by_id(*parts[1]))
            await add(pure, [one for one in said if one.anchor_id not in gone])
            assert await ranked(store) == [
                [(text, pytest.approx(match), pytest.approx(strength)) for text, match, strength in each]
                for each in await ranked(pure)
            ]

    asyncio.run(lived())


@pytest.mark.slow
@awaited
async def test_half_of_a_long_session_is_forgotten_at_once(server_url: str) -> None:
    place, untouched = Place(server_url, fresh_name()), Place(server_url, fresh_name())
    said = [anchor(f"zebrafinch {n}", session="s") for n in range(300)]
    kept = [anchor(f"numbat {n}", session="s") for n in range(300)]
    async with place.opened(hybrid=True) as store, untouched.opened(hybrid=True) as pure:
        for start in range(0, 300, 100):
            await write(store, *said[start : start + 100], *kept[start : start + 100])
            await write(pure, *kept[start : start + 100])
        assert await store.forget(by_id(*said)) == 300
    expected = {one: pytest.approx(weights, abs=1e-5) for one, weights in stored(untouched).items()}
    assert stored(place) == expected


@pytest.mark.parametrize("newer_first", [False, True])
@awaited
async def test_the_newer_one_takes_the_older_one_s_place(place: Place, newer_first: bool) -> None:
    async with place.opened() as store:
        older = anchor("I eat meat", 9)
        newer = msgspec.structs.replace(anchor("I am vegetarian", 4), supersedes=[older.anchor_id])
        for one in (newer, older) if newer_first else (older, newer):
            assert await write(store, one) == [WriteOutcome.STORED]
        assert await recalled(store) == {"I am vegetarian"}
        assert (await reasons(store))["I eat meat"] == f"superseded by {newer.anchor_id}"
        past = query(VECTOR, now=NOW - timedelta(days=5), limit=5)
        assert [beat.text for beat in (await store.recall([past]))[0].beats] == ["I eat meat"]
        await store.forget(by_id(newer))
        assert await recalled(store) == set()


@awaited
async def test_a_circle_is_refused(place: Place) -> None:
    async with place.opened() as store:
        a, b, c = (anchor(name) for name in "abc")
        a = msgspec.structs.replace(a, supersedes=[b.anchor_id])
        b = msgspec.structs.replace(b, supersedes=[c.anchor_id])
        c = msgspec.structs.replace(c, supersedes=[a.anchor_id])
        assert await write(store, a, b) == [WriteOutcome.STORED] * 2
        assert await write(store, c) == [WriteOutcome.CIRCULAR]
        assert await recalled(store) == {"a"}


@awaited
async def test_what_expires_is_recalled_no_more_and_then_removed(place: Place) -> None:
    async with place.opened() as store:
        now = datetime.now(UTC)
        over = msgspec.structs.replace(anchor("over", 30), expires_at=now - timedelta(seconds=1))
        lasting = msgspec.structs.replace(anchor("lasting", 30), expires_at=now + timedelta(days=800))
        await write(store, over, lasting)
        assert await recalled(store) == {"lasting"}
        assert (await reasons(store))["over"] == "expired"
        assert await store.remove_expired() == 1
        assert await store.count(Scope("")) == 1
        # a recall that looks ahead is told nothing that will have expired by then
        ahead = query(VECTOR, now=now + timedelta(days=900))
        assert (await store.recall([ahead]))[0].beats == []


@awaited
async def test_a_redelivery_with_another_moment_that_was_only_filled_in_is_the_same(place: Place) -> None:
    async with place.opened() as store:
        one = anchor("once")
        again = msgspec.structs.replace(one, stored_at=one.stored_at + timedelta(seconds=3))
        assert await write(store, one) == [WriteOutcome.STORED]
        assert await write(store, again, delivery=Delivery(1_000, filled=True)) == [WriteOutcome.STORED]
        assert await write(store, again) == [WriteOutcome.DIFFERENT]


@awaited
async def test_no_byte_of_what_is_forgotten_is_left_in_any_file(tmp_path: Path) -> None:
    place = Place(f"local:{tmp_path}")
    async with place.opened(hybrid=True) as store:
        said = [anchor(f"zebrafinch {number} " + "x" * number * 40, session="s") for number in range(60)]
        kept = anchor("kept", session="s")
        await write(store, *said, kept)
        (tmp_path / "collection").mkdir()
        (tmp_path / "meta.json").write_text("zebrafinch, as an earlier version kept it")
        assert holding(tmp_path, b"zebrafinch")
        assert await store.forget(by_id(*said)) == 60
        assert holding(tmp_path, b"zebrafinch") == []
        assert holding(tmp_path, b"kept")
    assert holding(tmp_path, b"zebrafinch") == []


@awaited
async def test_an_older_copy_of_the_file_that_is_put_back_holds_nothing_forgotten(tmp_path: Path) -> None:
    place = Place(f"local:{tmp_path}")
    early = [anchor(f"zebrafinch {number}", 9, session=f"s{number}") for number in range(4)]
    kept, late = anchor("kept"), anchor("zebrafinch, said again", session="s1")
    async with place.opened(hybrid=True) as store:
        await write(store, *early, kept)
        await write(store, late, delivery=LATER)
    backup = (tmp_path / "anchors.sqlite").read_bytes()
    async with place.opened(hybrid=True) as store:
        await store.forget(by_id(early[0]))
        await store.forget([Tombstone(owner="", written=1_500, session="s1")])
        await store.forget([Tombstone(owner="", written=1_500, before=NOW - timedelta(days=5))])
    (tmp_path / "anchors.sqlite").write_bytes(backup)
    assert holding(tmp_path, b"zebrafinch 0")
    async with place.opened(hybrid=True) as store:
        assert await recalled(store) == {"kept", "zebrafinch, said again"}
        assert await store.count(Scope("")) == 2
        assert holding(tmp_path, b"zebrafinch 0") == []


@awaited
async def test_points_that_a_snapshot_brings_back_are_gone_before_it_serves(server_url: str) -> None:
    place = Place(server_url, fresh_name())
    early = [anchor(f"early {number}", 9, session=f"s{number}") for number in range(4)]
    kept, late = anchor("kept"), anchor("late", session="s1")
    client = QdrantClient(url=place.url, check_compatibility=False)
    async with place.opened(hybrid=True) as store:
        await write(store, *early, kept)
        await write(store, late, delivery=LATER)
        records, _ = client.scroll(place.collection, limit=100, with_vectors=True)
        await store.forget(by_id(early[0]))
        await store.forget([Tombstone(owner="", written=1_500, session="s1")])
        await store.forget([Tombstone(owner="", written=1_500, before=NOW - timedelta(days=5))])
    points = [models.PointStruct(id=one.id, vector=one.vector or {}, payload=one.payload) for one in records]
    client.upsert(place.collection, points, wait=True)
    assert client.count(place.collection).count == 6
    async with place.opened(hybrid=True) as store:
        assert await recalled(store) == {"kept", "late"}
    assert client.count(place.collection).count == 2
    client.close()


def holding(folder: Path, text: bytes) -> list[Path]:
    """The files that hold a text."""
    return [path for path in folder.rglob("*") if path.is_file() and text in path.read_bytes()]


# what may happen to five anchors of two sessions, by the number of the event

OLD = [anchor(f"fact {number}", 9 - number, session=f"s{number % 2}") for number in range(5)]
ANCHORS = [
    OLD[0],
    OLD[1],
    msgspec.structs.replace(OLD[2], supersedes=[OLD[0].anchor_id]),
    msgspec.structs.replace(OLD[3], supersedes=[OLD[2].anchor_id, OLD[1].anchor_id]),
    msgspec.structs.replace(OLD[4], expires_at=NOW - timedelta(days=1)),
]
FORGETTING = [
    Tombstone(owner="", written=150, anchor_id=ANCHORS[3].anchor_id),
    Tombstone(owner="", written=150, anchor_id=ANCHORS[0].anchor_id),
    Tombstone(owner="", written=150, session="s0"),
    Tombstone(owner="", written=150, before=NOW - timedelta(days=7, hours=1)),
    Tombstone(owner="", written=150),
]
Event = tuple[int, Delivery] | Tombstone
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 4), st.sampled_from([Delivery(100), Delivery(200)])),
        st.sampled_from(FORGETTING),
    ),
    min_size=1,
    max_size=12,
)


async def state(place: Place, events: Sequence[Event]) -> dict[str, float]:
    """The beats after these events, and how each matches."""
    async with place.another().opened(hybrid=True) as store:
        for event in events:
            if isinstance(event, Tombstone):
                await store.forget([event])
            else:
                await store.add([ANCHORS[event[0]]], vectors(5)[event[0] : event[0] + 1], [event[1]])
        asked = query(VECTOR, text="fact 1 2 3", limit=50, diversity_threshold=2.0)
        ranking = (await store.recall([asked]))[0]
        return {beat.text: round(beat.match, 4) for beat in ranking.beats}


@given(events=EVENTS, seed=st.integers())
@settings(max_examples=40, deadline=None)
def test_the_order_in_which_things_come_makes_no_difference(events: list[Event], seed: int) -> None:
    assert_any_order(Place(f"local::memory:{uuid.uuid4()}"), events, seed)


@pytest.mark.slow
@given(events=EVENTS, seed=st.integers())
@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
def test_nor_does_it_on_a_server(server_url: str, events: list[Event], seed: int) -> None:
    assert_any_order(Place(server_url), events, seed)


def assert_any_order(place: Place, events: list[Event], seed: int) -> None:
    """Some events come again and all in another order. How rare words are is an estimate on a server, and
    with it how each beat matches."""
    shuffled = [*events, *events[: len(events) // 2]]
    random.Random(seed).shuffle(shuffled)
    one, other = asyncio.run(state(place, events)), asyncio.run(state(place, shuffled))
    assert one.keys() == other.keys()
    if place.url.startswith("local:"):
        assert one == other
