"""Brokers that restart, vanish, hang or change leaders, and workers that come and go, all under load."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)
from structlog.testing import LogCapture

from broker.conftest import Show
from broker.crash import Load, Process, account
from broker.harness import DEAD, OUT, Client, Echo, Running, until
from broker.kafka import STOCK, Kafka, NoKafkaError
from broker.outage import states, survive, unready
from vhm.contract import topics as graph

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

GONE_SECONDS = float(os.environ.get("VHM_TEST_GONE_SECONDS", "20"))
"""How long things stay away."""


@pytest.fixture(scope="module")
def own() -> Iterator[Kafka]:
    """A broker that may be mistreated."""
    try:
        kafka = Kafka().start()
    except NoKafkaError as error:
        pytest.skip(str(error))
    yield kafka
    kafka.close()


@pytest.fixture(autouse=True)
def healed(own: Kafka) -> Iterator[None]:
    """A test that fails leaves the broker to the next one as it found it."""
    yield
    if own.nodes[0].runs():
        own.nodes[0].signal(signal.SIGCONT)
    own.nodes[0].start()


def test_a_broker_that_restarts(own: Kafka, show: Show) -> None:
    def restart(_: Running) -> None:
        own.nodes[0].stop()
        own.nodes[0].start()

    own.wipe()
    result = survive("broker restarted", own, restart)
    show(result)
    assert result.lost == 0


def test_a_broker_that_is_gone(own: Kafka, show: Show, log: LogCapture) -> None:
    def vanish(worker: Running) -> None:
        own.nodes[0].stop(hard=True)
        # that it cannot be reached, or that it has not acknowledged a record for so long
        assert unready(worker, GONE_SECONDS).startswith("broker: Kafka ")
        own.nodes[0].start()

    own.wipe()
    result = survive(f"broker killed, gone for {GONE_SECONDS:.0f} s", own, vanish)
    show(result)
    assert result.lost == 0
    assert states(log, "broker") == ["not ready", "recovered"]


def test_a_broker_that_hangs(own: Kafka, show: Show) -> None:
    def hang(worker: Running) -> None:
        own.nodes[0].signal(signal.SIGSTOP)
        unready(worker, 15)
        own.nodes[0].signal(signal.SIGCONT)

    own.wipe()
    result = survive("broker hung for 15 s", own, hang)
    show(result)
    assert result.lost == 0


def test_sigterm_under_load(own: Kafka, show: Show) -> None:
    own.wipe()
    client = Client(own.address)
    process = Process(own.address)
    until(lambda: any(line["event"] == "assigned" for line in process.lines()), 60)
    stops: list[float] = []
    with Load(client) as load:
        for _ in range(3):
            until(lambda running=process: len(running.stored()) > 300, 60)  # type: ignore[misc]
            stops.append(time.time())
            assert process.stop() == 0
            process = Process(own.address)
        until(lambda: len(process.stored()) > 300, 60)
    result = account("SIGTERM, three times", client, load.sent, stops)
    show(result)
    assert process.stop() == 0
    assert (result.lost, result.duplicated) == (0, 0)


def test_scaling_under_load(own: Kafka, show: Show) -> None:
    own.wipe()
    client = Client(own.address)
    first = Process(own.address)
    until(lambda: any(line["event"] == "assigned" for line in first.lines()), 60)
    moments: list[float] = []
    with Load(client) as load:
        until(lambda: len(first.stored()) > 300, 60)
        moments.append(time.time())
        others = [Process(own.address), Process(own.address)]
        for each in others:
            until(lambda each=each: len(each.stored()) > 100, 90)  # type: ignore[misc]
        moments.append(time.time())
        assert [each.stop() for each in others] == [0, 0]
        before = len(first.stored())
        until(lambda: len(first.stored()) > before + 500, 60)
    result = account("scaled 1 to 3 to 1", client, load.sent, moments)
    show(result)
    assert first.stop() == 0
    assert (result.lost, result.duplicated) == (0, 0)


def test_a_worker_that_was_frozen_longer_than_its_session(own: Kafka, show: Show) -> None:
    own.wipe()
    client = Client(own.address)
    frozen, other = Process(own.address), Process(own.address)
    for each in (frozen, other):
        until(lambda each=each: any(e["event"] == "assigned" for e in each.lines()), 60)  # type: ignore[misc]
    with Load(client) as load:
        until(lambda: len(frozen.stored()) > 100 and len(other.stored()) > 100, 60)
        began = time.time()
        frozen.signal(signal.SIGSTOP)
        time.sleep(12)
        frozen.signal(signal.SIGCONT)
        ended = time.time()
        until(lambda: any(e["event"] == "lost" for e in frozen.lines()), 30)
        before = len(frozen.stored())
        until(lambda: len(frozen.stored()) > before + 100, 60)
    result = account("worker frozen for 12 s", client, load.sent, [began], [ended])
    show(result)
    assert frozen.stop() == other.stop() == 0
    assert result.lost == 0


def test_a_leader_that_changes(show: Show) -> None:
    try:
        kafka = Kafka(nodes=3).start()
    except NoKafkaError as error:
        pytest.skip(str(error))
    try:
        client = Client(kafka.address)
        with Running(Echo(batch_size=20), kafka.address, KAFKA_TOPIC_REPLICATION_FACTOR="3") as worker:
            worker.ready(60).assigned()
            with Load(client) as load:
                until(lambda: len(worker._handler.handled) > 300, 60)
                began = time.time()
                kafka.nodes[1].stop(hard=True)
                before = len(worker._handler.handled)
                until(lambda: len(worker._handler.handled) > before + 500, 90)
                kafka.nodes[1].start()
            result = account("a leader killed, three brokers", client, load.sent, [began])
        show(result)
        assert worker.code == 0
        assert result.lost == 0
    finally:
        kafka.close()


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_recovery_on_a_broker_that_nobody_tuned(protocol: str, show: Show) -> None:
    try:
        kafka = Kafka(settings=STOCK).start()
    except NoKafkaError as error:
        pytest.skip(str(error))
    try:
        client = Client(kafka.address)
        process = Process(kafka.address, KAFKA_GROUP_PROTOCOL=protocol)
        until(lambda: any(line["event"] == "assigned" for line in process.lines()), 60)
        with Load(client, per_second=100) as load:
            until(lambda: len(process.stored()) > 200, 60)
            died = time.time()
            process.kill()
            process = Process(kafka.address, KAFKA_GROUP_PROTOCOL=protocol)
            until(lambda: len(process.stored()) > 100, 120)
        result = account(f"SIGKILL, stock broker, {protocol}", client, load.sent, [died])
        show(result)
        process.stop()
        assert result.lost == 0
        assert protocol == "consumer" or result.recovery < 20
    finally:
        kafka.close()


def test_a_broker_without_the_consumer_protocol_says_what_to_set(log: LogCapture) -> None:
    try:
        kafka = Kafka(settings={"group.coordinator.rebalance.protocols": "classic"}).start()
    except NoKafkaError as error:
        pytest.skip(str(error))
    try:
        with Running(Echo(), kafka.address, KAFKA_GROUP_PROTOCOL="consumer") as worker:
            assert worker.join(60) == 1
        lines = [e["event"] for e in log.entries if e["log_level"] == "critical"]
        assert len(lines) == 1
        assert "set KAFKA_GROUP_PROTOCOL=classic" in lines[0]
    finally:
        kafka.close()


def test_stopping_while_the_broker_hangs_ends_in_time(own: Kafka) -> None:
    own.wipe()
    process = Process(own.address, RETELLER_SHUTDOWN_TIMEOUT_SECONDS="2")
    try:
        until(lambda: any(line["event"] == "assigned" for line in process.lines()), 60)
        own.nodes[0].signal(signal.SIGSTOP)
        began = time.monotonic()
        process.signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert time.monotonic() - began < 10
    finally:
        own.nodes[0].signal(signal.SIGCONT)


def limited(kafka: Kafka, topic: str, size: int) -> None:
    """Let a topic take no record larger than `size` bytes."""
    admin = AdminClient({"bootstrap.servers": kafka.address})
    names = [name for name in graph.needs("reteller") if name not in admin.list_topics(timeout=10).topics]
    for future in admin.create_topics([NewTopic(name, 3, 1) for name in names]).values() if names else ():
        future.result(10)
    entry = ConfigEntry("max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(10)


def test_an_answer_larger_than_the_broker_takes_becomes_a_dead_letter(own: Kafka) -> None:
    own.wipe()
    limited(own, OUT, 5_000)
    client = Client(own.address)
    with Running(Echo(), own.address) as worker:
        worker.ready(60)
        client.write([b"1", b"big:%d" % 3_000_000, b"2"])
        first, second, answer = sorted(client.values(OUT, 3))
        letter = client.read(DEAD)[0]
    assert (first, second) == (b"1", b"2")
    assert answer.startswith(b"retell-response takes no record of 3000000 bytes")
    assert letter.value() == b"big:3000000"
    assert dict(letter.headers() or [])["vhm-reason"] == b"reply_too_large"


def test_a_dead_letter_larger_than_its_topic_takes_raises_the_limit_of_the_topic(own: Kafka) -> None:
    own.wipe()
    limited(own, DEAD, 50_000)
    client = Client(own.address)
    value = b"poison " + os.urandom(300_000)
    with Running(Echo(), own.address) as worker:
        worker.ready(60)
        client.write([value])
        client.write([b"fine"])
        assert client.values(OUT) == [b"fine"]
        assert client.values(DEAD) == [value]
        worker.ready(10)


def test_a_dead_letter_as_large_as_a_record_can_be_fits_a_topic_that_we_created(own: Kafka) -> None:
    own.wipe()
    client = Client(own.address)
    with Running(Echo(), own.address) as worker:
        worker.ready(60)
        # the broker's limit of 1,048,588 bytes holds for the batch, whose own header is 61 bytes
        value = b"poison " + os.urandom(1_048_588 - 61 - 7 - 30)
        client.write([value])
        assert client.values(DEAD) == [value]
        assert worker.get("/health").body["counters"]["produce_failures"] == 0


def test_a_dead_letter_too_large_for_a_topic_that_is_not_ours_to_change_holds_its_record(own: Kafka) -> None:
    own.wipe()
    limited(own, OUT, 1_000_000)
    limited(own, DEAD, 50_000)
    client = Client(own.address)
    value = b"poison " + os.urandom(300_000)
    with Running(Echo(batch_size=1), own.address, KAFKA_CREATE_TOPICS="false") as worker:
        worker.ready(60).assigned()
        client.write([value], partition=0)
        client.write([b"fine"], partition=1)
        assert client.values(OUT) == [b"fine"]
        until(lambda: worker.get("/readyz").status == 503, 30)
        assert "max.message.bytes" in worker.get("/readyz").body["reasons"][0]
        assert 0 not in client.committed()
        limited(own, DEAD, 500_000)
        assert client.values(DEAD) == [value]
        worker.ready(10)


def test_a_missing_dead_letter_topic_holds_the_record_until_it_is_there(own: Kafka, log: LogCapture) -> None:
    own.wipe()
    limited(own, OUT, 1_000_000)
    admin = AdminClient({"bootstrap.servers": own.address})
    client = Client(own.address)
    with Running(Echo(batch_size=1), own.address, KAFKA_CREATE_TOPICS="false") as worker:
        worker.ready(60).assigned()
        admin.delete_topics([DEAD])[DEAD].result(10)
        client.write([b"poison"], partition=0)
        client.write([b"fine"], partition=1)
        assert client.values(OUT) == [b"fine"]
        until(lambda: worker.get("/readyz").status == 503, 30)
        time.sleep(5)
        assert 0 not in client.committed()
        assert worker.get("/livez").status == 200
        refusals = worker.get("/health").body["counters"]["produce_failures"]
        assert refusals < 20
        admin.create_topics([NewTopic(DEAD, 3, 1)])[DEAD].result(10)
        assert client.read(DEAD, seconds=60)[0].value() == b"poison"
        worker.ready(30)
        until(lambda: client.committed().get(0) == 1, 10)
    assert len([e for e in log.entries if e["event"] == "not ready" and e["subject"] == "topics"]) == 1
