"""The connection to Kafka where answers come out of order, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import cast

import pytest
from confluent_kafka import Message, Producer

from vhm import Unavailable
from vhm.client import kafka
from vhm.client.exchange import Exchange
from vhm.client.fields import anchor_of
from vhm.client.kafka import ANSWERS, KafkaTransport
from vhm.contract.env_loader import load
from vhm.contract.settings import Settings
from vhm.contract.topics import ANCHORS_INDEXED
from vhm.runtime.embedded_broker import EmbeddedBroker


@pytest.fixture
def transport() -> Iterator[KafkaTransport]:
    """A connection to a broker that no worker reads from."""
    broker = EmbeddedBroker()
    producer = Producer({"bootstrap.servers": broker.address})
    for name in ANSWERS:
        producer.list_topics(name, timeout=10)  # the embedded broker makes a topic that a producer asks for
    yield KafkaTransport(load(Settings, {"KAFKA_BOOTSTRAP_SERVERS": broker.address}))
    broker.close()


def test_an_answer_before_the_acknowledgement_means_accepted() -> None:
    async def lived() -> None:
        exchange = Exchange([ANCHORS_INDEXED], "the indexer")
        assert exchange.add(ANCHORS_INDEXED, cast(Message, None))
        await asyncio.wait_for(exchange.accepted(), 1)

    asyncio.run(lived())


def test_where_no_indexer_answers_there_is_an_end_to_waiting_for_room(
    transport: KafkaTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(kafka, "MOST_UNANSWERED", 3)

    async def lived() -> None:
        await transport.open()
        anchors = [anchor_of("sam", {"text": f"memory {number}"}) for number in range(4)]
        for anchor in anchors[:3]:
            await (await transport.remember(anchor, filled=True)).accepted()
        with pytest.raises(Unavailable, match="no answer from the indexer"):
            await transport.remember(anchors[3], filled=True)
        await transport.close(0)

    asyncio.run(lived())
