"""Sparse vectors of conversations that two indexers write over a real broker, killed now and then."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from anchors.places import NOW, Place, anchor, fresh_name, own_server
from anchors.test_session_vectors import WORDS, expected, stored
from broker.harness import Client
from broker.kafka import Kafka, free_ports
from vhm.contract.messages import Anchor, encode
from vhm.contract.topics import ANCHORS_INDEXED, ANCHORS_WRITE

APPS = Path(__file__).parents[2] / "apps"
TURNS = 120
KILLS = 4


@pytest.fixture
def place() -> Iterator[Place]:
    """A server of one's own; a real one where QDRANT_URL names one."""
    with own_server() as url:
        yield Place(url, fresh_name())


def conversations() -> list[Anchor]:
    """Sessions whose turns are half a minute apart, with a pause here and there."""
    rng, turns = random.Random(7), []
    for session in range(TURNS // 20):
        moment = NOW - timedelta(days=session + 1)
        for number in range(20):
            moment += timedelta(seconds=rng.choice([0, 30, 30, 30, 5_000]))
            text = f"{' '.join(rng.sample(WORDS, 2))} {session}.{number}{rng.choice(['', '?'])}"
            turns.append(msgspec.structs.replace(anchor(text, session=f"s{session}"), stored_at=moment))
    return turns


def indexer(kafka: Kafka, place: Place) -> subprocess.Popen[bytes]:
    given = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.address,
        "QDRANT_URL": place.url,
        "QDRANT_COLLECTION": place.collection,
        "EMBEDDING_MODEL": "deterministic",
        "INDEXER_LOG_LEVEL": "WARNING",
        "HEALTH_PORT": str(free_ports(1)[0]),
        "PYTHONPATH": str(APPS),
    }
    return subprocess.Popen(
        [sys.executable, "-c", "from vhm.cli import main; main()", "indexer"], env=os.environ | given
    )


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_indexers_and_kills_end_as_one_in_order(kafka: Kafka, place: Place) -> None:
    kafka.wipe()
    client, rng, turns = Client(kafka.address), random.Random(11), conversations()
    workers = [indexer(kafka, place) for _ in range(2)]
    try:
        client.values(ANCHORS_INDEXED, 0)  # the indexers have made the topics
        waiting = rng.sample(turns, len(turns))  # in any order, without a key: over all partitions
        for _ in range(KILLS):
            part, waiting = waiting[: TURNS // KILLS], waiting[TURNS // KILLS :]
            client.write((encode(turn) for turn in part), ANCHORS_WRITE)
            time.sleep(rng.uniform(2, 5))
            victim = rng.randrange(2)
            workers[victim].kill()
            workers[victim].wait()
            workers[victim] = indexer(kafka, place)
        client.write((encode(turn) for turn in waiting), ANCHORS_WRITE)
        wanted, answered = {str(turn.anchor_id) for turn in turns}, set[str]()
        until = time.monotonic() + 120
        while not wanted <= answered and time.monotonic() < until:
            answers = [json.loads(value) for value in client.values(ANCHORS_INDEXED, 0, extra=1)]
            answered |= {answer["anchor_id"] for answer in answers if answer["ok"]}
    finally:
        for worker in workers:
            worker.terminate()
            worker.wait(30)
    assert wanted <= answered
    assert stored(place) == expected(turns)
