"""Two indexers that remember, supersede and forget over a real broker and are killed at every step."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient
from qdrant_client import QdrantClient

from anchors.places import NOW, Place, anchor, fresh_name, own_server, query, unit, weights_of
from broker.crashing_indexer import STEPS
from broker.harness import Client, until
from broker.kafka import Kafka, free_ports
from broker.process_guard import ProcessGuard
from vhm import embedding
from vhm.anchors import Scope, open_store
from vhm.anchors.qdrant.sparse import Numbered
from vhm.contract.messages import Anchor, AnchorsForget, encode
from vhm.contract.topics import ANCHORS_FORGET, ANCHORS_FORGOTTEN, ANCHORS_INDEXED, ANCHORS_WRITE

CRASHING_INDEXER = Path(__file__).with_name("crashing_indexer.py")
APPS = Path(__file__).parents[2] / "apps"
OWNERS = ("", "sam")
SESSIONS, TURNS = 3, 12
KILLS = 2

ON_STAND_IN = "delete"
"""The step that is also struck where no server is."""


@pytest.fixture
def place() -> Iterator[Place]:
    """A server of one's own; a real one where QDRANT_URL names one."""
    with own_server() as url:
        yield Place(url, fresh_name())


class Story:
    """What two owners say, and what they want forgotten of it: some ids, a session, what is old."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.said: list[Anchor] = []
        for owner in OWNERS:
            for session in range(SESSIONS):
                for turn in range(TURNS):
                    text = f"word{self.rng.randrange(10**9)} of {owner or 'nobody'}, {session}.{turn}"
                    self.said.append(
                        msgspec.structs.replace(
                            anchor(text, 9 - session - turn / 1440, session=f"s{session}"),
                            owner=owner,
                            supersedes=self._older(owner) if turn % 4 == 3 else [],
                        )
                    )
        self.by_ids = [
            AnchorsForget(owner=owner, anchor_ids=[one.anchor_id for one in self.rng.sample(mine, 6)])
            for owner in OWNERS
            for mine in [[one for one in self.said if one.owner == owner]]
        ]
        self.by_bounds = [
            AnchorsForget(owner="sam", session="s1"),
            AnchorsForget(owner="", before=NOW - timedelta(days=8, hours=12)),
        ]

    def _older(self, owner: str) -> list[uuid.UUID]:
        mine = [one.anchor_id for one in self.said if one.owner == owner]
        return self.rng.sample(mine, 1)

    def kept(self) -> list[Anchor]:
        """What is not to be forgotten."""
        gone = {(ask.owner, one) for ask in self.by_ids for one in ask.anchor_ids or ()}
        oldest = NOW - timedelta(days=8, hours=12)
        return [
            one
            for one in self.said
            if (one.owner, one.anchor_id) not in gone
            and not (one.owner == "sam" and one.session == "s1")
            and not (one.owner == "" and one.stored_at < oldest)
        ]

    def beats(self) -> dict[str, set[str]]:
        """What each owner recalls: the kept ones that no other supersedes, a forgotten one included."""
        superseded = {(one.owner, older) for one in self.said for older in one.supersedes}
        return {
            owner: {
                one.text
                for one in self.kept()
                if one.owner == owner and (owner, one.anchor_id) not in superseded
            }
            for owner in OWNERS
        }


class Indexer:
    """An indexer as a process of its own, which dies the `count`-th time it comes by `step`."""

    def __init__(
        self, kafka: Kafka, place: Place, step: str = "never", count: int = 1, model: str = "deterministic"
    ) -> None:
        given = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka.address,
            "QDRANT_URL": place.url,
            "QDRANT_COLLECTION": place.collection,
            "EMBEDDING_MODEL": model,
            "INDEXER_LOG_LEVEL": "ERROR",
            "HEALTH_PORT": str(free_ports(1)[0]),
            "PYTHONPATH": f"{APPS}{os.pathsep}{APPS.parent / 'tests'}",
        }
        self._process = subprocess.Popen(
            [sys.executable, str(CRASHING_INDEXER), step, str(count)], env=os.environ | given
        )
        self._guard = ProcessGuard(self._process.pid)

    def dead(self) -> bool:
        """Whether it has killed itself."""
        return self._process.poll() is not None

    def stop(self) -> None:
        """SIGTERM, if it lives."""
        if not self.dead():
            self._process.terminate()
        self._process.wait(30)
        self._guard.dismiss()


@contextlib.contextmanager
def indexers(kafka: Kafka, place: Place, step: str) -> Iterator[list[Indexer]]:
    """Two that die at a step."""
    running = [Indexer(kafka, place, step, count) for count in (1, 2)]
    try:
        yield running
    finally:
        for one in running:
            one.stop()


def write(client: Client, anchors: Sequence[Anchor]) -> None:
    """Without a key: over all partitions."""
    client.write((encode(one) for one in anchors), ANCHORS_WRITE)


def answered(client: Client, asked: Sequence[AnchorsForget], said: Sequence[Anchor]) -> bool:
    """Whether every write and every forget has an answer."""
    indexed = {json.loads(value)["anchor_id"] for value in client.values(ANCHORS_INDEXED, 0, extra=0.5)}
    done = [json.loads(value) for value in client.values(ANCHORS_FORGOTTEN, 0, extra=0.5)]
    return {str(one.anchor_id) for one in said} <= indexed and {str(one.request_id) for one in asked} <= {
        one["request_id"] for one in done if "forgotten" in one
    }


def recalled(place: Place, model: str = "deterministic") -> dict[str, set[str]]:
    """All that each owner can recall. (Opening a store carries tombstones out; `held` does not.)"""

    async def lived() -> dict[str, set[str]]:
        settings = place.settings(hybrid=True)
        settings = msgspec.structs.replace(settings, embedding_model=model)
        embedder = embedding.create(settings)
        await embedder.open()
        store = await open_store(settings, embedder)
        vector = unit(np.ones(embedder.size))[0]
        try:
            asked = [
                query(vector, scope=Scope(owner), text="word", limit=200, diversity_threshold=2.0)
                for owner in OWNERS
            ]
            rankings = await store.recall(asked)
        finally:
            await store.close()
            await embedder.close()
        return {
            owner: {beat.text for beat in ranking.beats}
            for owner, ranking in zip(OWNERS, rankings, strict=True)
        }

    return asyncio.run(lived())


def held(place: Place) -> dict[str, dict[str, Numbered]]:
    """The sparse vector by text of every point, in the collection and each of its copies."""
    client = QdrantClient(url=place.url, check_compatibility=False, timeout=60)
    names = [one.name for one in client.get_collections().collections]
    found = {}
    for name in names:
        if name == place.collection or name.startswith(f"{place.collection}@"):
            records, _ = client.scroll(name, limit=1_000, with_vectors=True)
            found[name] = {
                record.payload["text"]: weights_of(record)
                for record in records
                if record.payload and "text" in record.payload
            }
    client.close()
    return found


def never_said_otherwise(place: Place, kept: Sequence[Anchor]) -> dict[str, Numbered]:
    """The sparse vectors of a collection in which nothing else has ever been."""
    beside = Place(place.url, fresh_name())

    async def lived() -> None:
        async with beside.opened(hybrid=True) as store:
            await store.add(kept, unit(np.ones((len(kept), 8))))

    asyncio.run(lived())
    return held(beside)[beside.collection]


def check(place: Place, story: Story, model: str = "deterministic") -> None:
    """0 forgotten texts in any collection, 0 others lost, no forgotten word in a neighbour's vector."""
    pure = {
        text: pytest.approx(weights, abs=1e-5)
        for text, weights in never_said_otherwise(place, story.kept()).items()
    }
    for name, texts in held(place).items():
        if not name.endswith("@forgotten"):
            assert texts == pure, name
    assert recalled(place, model) == story.beats()


def replay(kafka: Kafka, place: Place, client: Client, model: str = "deterministic") -> None:
    """Read the whole of anchors-write again, as a group that has lost its offsets does."""
    admin = AdminClient({"bootstrap.servers": kafka.address, "log_level": 0})
    partitions = client.producer.list_topics(ANCHORS_WRITE, timeout=10).topics[ANCHORS_WRITE].partitions
    start = [TopicPartition(ANCHORS_WRITE, partition, 0) for partition in partitions]

    def set_back() -> bool:
        with contextlib.suppress(Exception):  # members that were killed are still counted for some seconds
            asked = [ConsumerGroupTopicPartitions("indexer", start)]
            for future in admin.alter_consumer_group_offsets(asked).values():
                future.result(10)
            return True
        return False

    def is_read() -> bool:
        done = client.committed(ANCHORS_WRITE, "indexer")
        return all(done.get(at.partition, 0) >= client.end(at) for at in start)

    until(set_back, 20)
    worker = Indexer(kafka, place, model=model)
    try:
        until(is_read, 40, lambda: "not all is read again")
    finally:
        worker.stop()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_nothing_forgotten_is_left_and_nothing_else_is_lost(
    kafka: Kafka, place: Place, step: str
) -> None:
    if step != ON_STAND_IN and "QDRANT_URL" not in os.environ:
        pytest.skip(f"the stand-in takes a minute a step and plays {ON_STAND_IN!r}: set QDRANT_URL for all")
    kafka.wipe()
    client, story, chance = Client(kafka.address), Story(11), random.Random(step)
    waiting = chance.sample(story.said, len(story.said))
    asks = [
        msgspec.structs.replace(ask, request_id=uuid.uuid4()) for ask in (*story.by_ids, *story.by_bounds)
    ]
    by_ids, by_bounds = asks[: len(story.by_ids)], asks[len(story.by_ids) :]
    kills = 0
    with indexers(kafka, place, step) as running:

        def replace_the_dead() -> bool:
            nonlocal kills
            for index, one in enumerate(running):
                if one.dead():
                    kills += 1
                    one.stop()
                    again = step if kills < KILLS else "never"
                    running[index] = Indexer(kafka, place, again, chance.randint(1, 2))
            return answered(client, asks, story.said)

        client.values(ANCHORS_INDEXED, 0)  # the indexers have made the topics
        write(client, waiting[:30])
        client.write((encode(ask) for ask in by_ids), ANCHORS_FORGET)
        write(client, waiting[30:])
        write(client, waiting[:20])  # some come twice
        client.write((encode(ask) for ask in by_bounds), ANCHORS_FORGET)
        until(replace_the_dead, 120, lambda: "not all is answered")
    assert kills > 0, "death never struck"
    check(place, story)
    replay(kafka, place, client)
    check(place, story)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_re_embedding_under_way_brings_nothing_back(kafka: Kafka, place: Place) -> None:
    kafka.wipe()
    client, story = Client(kafka.address), Story(12)
    asks = [
        msgspec.structs.replace(ask, request_id=uuid.uuid4()) for ask in (*story.by_ids, *story.by_bounds)
    ]
    half = len(story.said) // 2
    with indexers(kafka, place, "never") as running:
        client.values(ANCHORS_INDEXED, 0)
        write(client, story.said[:half])
        until(lambda: answered(client, (), story.said[:half]), 60)
        settings = {"QDRANT_URL": place.url, "QDRANT_COLLECTION": place.collection, "PYTHONPATH": str(APPS)}
        reindex = subprocess.Popen(
            [sys.executable, "-c", "from vhm.cli import main; main()", "reindex", "minilm"],
            env=os.environ | settings,
        )
        for ask in asks[: len(story.by_ids)]:
            client.write([encode(ask)], ANCHORS_FORGET)
            time.sleep(0.5)
        write(client, story.said[half:])
        client.write((encode(ask) for ask in asks[len(story.by_ids) :]), ANCHORS_FORGET)
        # from the switch on those of the old model take nothing more, and others take their place
        assert reindex.wait(90) == 0
        for index, one in enumerate(running):
            one.stop()
            running[index] = Indexer(kafka, place, model="minilm")
        until(lambda: answered(client, asks, story.said), 60, lambda: "not all is answered")
    kept = {one.text for one in story.kept()}
    for name, texts in held(place).items():
        assert name.endswith(("@forgotten", "@minilm")) or texts.keys() <= kept
    assert recalled(place, "minilm") == story.beats()
    replay(kafka, place, client, "minilm")
    for texts in held(place).values():
        assert texts.keys() <= kept
    assert recalled(place, "minilm") == story.beats()
