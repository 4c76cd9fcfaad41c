"""The embedded broker: clients stay behind its front door, pushed back before a record is dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from vhm.runtime import embedded_broker
from vhm.runtime.embedded_broker import EmbeddedBroker, forwarded


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    broker = EmbeddedBroker()
    yield broker
    broker.close()


def producer(address: str) -> Producer:
    return Producer({"bootstrap.servers": address, "linger.ms": 0, "log_level": 0})


def test_a_client_never_learns_of_another_address(broker: EmbeddedBroker) -> None:
    async def run() -> tuple[str, list[str], list[bytes | None]]:
        async with forwarded(broker.address, 0) as address:
            return address, *await asyncio.to_thread(talk, address)

    def talk(address: str) -> tuple[list[str], list[bytes | None]]:
        client = producer(address)
        brokers = client.list_topics("t", timeout=10).brokers.values()
        for n in range(100):
            client.produce("t", b"%d" % n, partition=0)
        assert client.flush(10) == 0
        consumer = Consumer({"bootstrap.servers": address, "group.id": "g", "log_level": 0})
        consumer.assign([TopicPartition("t", 0, 0)])
        read: list[bytes | None] = []
        while len(read) < 100 and (message := consumer.poll(10)) is not None:
            read.append(message.value())
        consumer.close()
        return [f"{one.host}:{one.port}" for one in brokers], read

    address, brokers, read = asyncio.run(run())
    assert brokers == [address]
    assert read == [b"%d" % n for n in range(100)]


def test_large_requests_wait_for_the_backlog_and_small_ones_do_not(broker: EmbeddedBroker) -> None:
    backlog = [embedded_broker.MAX_BACKLOG + 1]

    async def run() -> None:
        async with forwarded(broker.address, 0, backlog=lambda: backlog[0]) as address:
            small, large = producer(address), producer(address)
            for client in (small, large):
                await asyncio.to_thread(client.list_topics, "t", 10)
            small.produce("t", b"a question")
            assert await asyncio.to_thread(small.flush, 10) == 0
            large.produce("t", b"x" * 2 * embedded_broker.SMALL_BYTES)
            assert await asyncio.to_thread(large.flush, 1) == 1
            backlog[0] = 0
            assert await asyncio.to_thread(large.flush, 10) == 0

    asyncio.run(run())


def test_clients_together_keep_the_pace(broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_broker, "BYTES_PER_SECOND", 500_000)

    def flood(client: Producer) -> None:
        for _ in range(8):
            client.produce("t", bytes(50_000))
        assert client.flush(30) == 0

    async def run() -> float:
        async with forwarded(broker.address, 0) as address:
            clients = [producer(address), producer(address)]
            for client in clients:
                await asyncio.to_thread(client.list_topics, "t", 10)
            began = asyncio.get_running_loop().time()
            await asyncio.gather(*(asyncio.to_thread(flood, client) for client in clients))
            return asyncio.get_running_loop().time() - began

    assert asyncio.run(run()) > 800_000 / 500_000 - 2 * embedded_broker.BURST_SECONDS
