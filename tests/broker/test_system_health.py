"""What the page's Health says of workers on a real broker."""

from __future__ import annotations

import asyncio
import time

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from broker.kafka import Kafka, free_ports
from vhm.client.errors import Unavailable
from vhm.contract.env_loader import load
from vhm.contract.settings import Settings
from vhm.contract.topics import TOPICS
from vhm.gateway.system_health import SystemHealth, WorkerState
from vhm.runtime.dead_letters import envelope

pytestmark = pytest.mark.slow

PREFIX = "blue."


def health(address: str, prefix: str = PREFIX) -> SystemHealth:
    return SystemHealth(load(Settings, {"KAFKA_BOOTSTRAP_SERVERS": address, "KAFKA_TOPIC_PREFIX": prefix}))


def states(system: SystemHealth) -> dict[str, WorkerState]:
    return {state.name: state for state in asyncio.run(system.workers())}


@pytest.fixture
def address(kafka: Kafka) -> str:
    """A broker with the topics of one install."""
    kafka.wipe()
    client = AdminClient({"bootstrap.servers": kafka.address})
    made = client.create_topics([NewTopic(PREFIX + topic.name, num_partitions=2) for topic in TOPICS])
    for future in made.values():
        future.result(20)
    return kafka.address


def test_who_reads_and_how_far_each_is_behind(address: str) -> None:
    producer = Producer({"bootstrap.servers": address})
    for number in range(7):
        producer.produce(PREFIX + "anchors-write", b"{}", str(number).encode())
    producer.flush()
    system = health(address)
    assert states(system)["indexer"] == WorkerState(name="indexer", members=0, lag=7)
    assert states(system)["indexer"].works is False
    reader = Consumer(
        {"bootstrap.servers": address, "group.id": PREFIX + "indexer", "auto.offset.reset": "earliest"}
    )
    reader.subscribe([PREFIX + "anchors-write"])
    read = 0
    until = time.monotonic() + 30
    while read < 7 and time.monotonic() < until:
        read += len(reader.consume(10, 0.5))
    reader.commit(asynchronous=False)
    found = states(system)
    reader.close()
    assert found["indexer"] == WorkerState(name="indexer", members=1, lag=0)
    assert found["indexer"].works is True
    assert found["reteller"].members == 0


def test_the_newest_dead_letters_with_their_reasons(address: str) -> None:
    producer = Producer({"bootstrap.servers": address})
    for number in range(120):
        headers: list[tuple[str, str | bytes | None]]
        headers = [(envelope.REASON, b"validation_failed"), (envelope.ERRORS, b'["text: missing"]'),
                   (envelope.TOPIC, b"blue.anchors-write"), (envelope.PARTITION, b"0"),
                   (envelope.OFFSET, str(number).encode())]  # fmt: skip
        producer.produce(PREFIX + "anchors-write.dead-letter", b"{}", b"k", partition=0, headers=headers)
    producer.flush()
    letters = asyncio.run(health(address).dead_letters())
    assert [letter.record.offset for letter in letters] == list(range(119, 69, -1))
    assert letters[0].errors == ["text: missing"]
    assert asyncio.run(health(address, "green.").dead_letters()) == []


def test_a_broker_that_is_away_is_said() -> None:
    system = health(f"127.0.0.1:{free_ports(1)[0]}")
    with pytest.raises(Unavailable, match="Kafka does not say who reads"):
        asyncio.run(system.workers())
    with pytest.raises(Unavailable, match="cannot read dead letters"):
        asyncio.run(system.dead_letters())
