"""Connections that are slow, cut, reset or half-open, to the broker and to the store: the worker stays up,
says what is wrong, loses nothing, and is back within seconds."""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from structlog.testing import LogCapture

from anchors.standin import StandIn
from broker.conftest import Show
from broker.crash import Account
from broker.faulty_proxy import Fault, FaultyProxy
from broker.harness import Client, Running, until
from broker.kafka import Kafka, NoKafkaError, free_ports
from broker.outage import states, survive, unready
from broker.test_store_faults import anchor, indexer
from vhm.contract.topics import ANCHORS_INDEXED, ANCHORS_WRITE
from vhm.runtime.embedded_broker import EmbeddedBroker

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

STORE_SECONDS = float(os.environ.get("VHM_TEST_GONE_SECONDS", "6"))
"""How long the store is out of reach."""

SECONDS = 12.0
"""How long the broker is: longer than a session of the group (6 s) and a request to a broker (10 s)."""

BACK_SECONDS = 15.0
"""What is allowed for coming back: a half-open connection is given up after 10 s."""

FATAL = [Fault.CUT, Fault.RESET, Fault.SILENT, Fault.ONE_WAY]


@pytest.fixture(scope="module")
def proxied() -> Iterator[tuple[Kafka, FaultyProxy]]:
    """A broker whose second listener is known to clients by the proxy's port only."""
    inner, outer = free_ports(2)
    toxic = FaultyProxy(inner, outer)
    try:
        kafka = Kafka(listeners={"TOXIC": ("PLAINTEXT", inner)}, advertised={"TOXIC": outer}).start()
    except NoKafkaError as error:
        pytest.skip(str(error))
    yield kafka, toxic
    toxic.close()
    kafka.close()


@pytest.mark.parametrize("fault", FATAL, ids=lambda fault: fault.name)
def test_a_broken_way_to_the_broker(
    proxied: tuple[Kafka, FaultyProxy], fault: Fault, show: Show, log: LogCapture
) -> None:
    kafka, toxic = proxied

    def spoil(worker: Running) -> None:
        toxic.be(fault)
        try:
            assert unready(worker, SECONDS).startswith("broker: Kafka ")
        finally:
            toxic.be(Fault.NONE)

    kafka.wipe()
    result = survive(f"to the broker {fault.value}", kafka, spoil, f"127.0.0.1:{toxic.port}")
    show(result)
    assert result.lost == 0
    assert result.recovery < BACK_SECONDS
    assert states(log, "broker") == ["not ready", "recovered"]


def test_a_slow_way_to_the_broker(proxied: tuple[Kafka, FaultyProxy], show: Show) -> None:
    kafka, toxic = proxied

    def spoil(worker: Running) -> None:
        toxic.be(Fault.DELAY)
        try:
            deadline = time.monotonic() + SECONDS
            while time.monotonic() < deadline:
                assert worker.get("/livez").status == 200
                time.sleep(0.5)
        finally:
            toxic.be(Fault.NONE)

    kafka.wipe()
    result = survive(f"to the broker {Fault.DELAY.value}", kafka, spoil, f"127.0.0.1:{toxic.port}")
    show(result)
    assert result.lost == 0
    assert result.recovery < BACK_SECONDS


@pytest.fixture
def store() -> Iterator[FaultyProxy]:
    """The way to a Qdrant: to the server of QDRANT_URL where that is set, else to a stand-in."""
    standin = None if "QDRANT_URL" in os.environ else StandIn()
    toxic = FaultyProxy(urlsplit(standin.url if standin else os.environ["QDRANT_URL"]).port or 6333)
    yield toxic
    toxic.close()
    if standin is not None:
        standin.close()


@pytest.mark.parametrize("fault", [*FATAL, Fault.DELAY], ids=lambda fault: fault.name)
def test_a_broken_way_to_the_store(store: FaultyProxy, fault: Fault, show: Show, log: LogCapture) -> None:
    broker = EmbeddedBroker()
    client = Client(broker.address)
    sent: list[str] = []
    over = threading.Event()

    def write() -> None:
        while not over.wait(0.05):
            anchors = [anchor() for _ in range(10)]
            client.write(anchors, ANCHORS_WRITE)
            sent.extend(json.loads(value)["anchor_id"] for value in anchors)

    url = f"http://127.0.0.1:{store.port}"
    with indexer(broker, url, QDRANT_COLLECTION=f"vhm-test-{uuid.uuid4()}") as worker:
        worker.ready(60).assigned()
        writing = threading.Thread(target=write)
        writing.start()
        try:
            client.read(ANCHORS_INDEXED, 100)
            store.be(fault)
            if fault is Fault.DELAY:
                time.sleep(STORE_SECONDS)
                assert worker.get("/livez").status == 200
            else:
                assert f"Qdrant at {url}" in unready(worker, STORE_SECONDS)
            store.be(Fault.NONE)
            ended = time.monotonic()
            worker.ready(30)
            before = len(client.read(ANCHORS_INDEXED))
            until(lambda: len(client.read(ANCHORS_INDEXED, before)) > before, 30)
            back = time.monotonic() - ended
        finally:
            over.set()
            writing.join()
        answers = [json.loads(value) for value in client.values(ANCHORS_INDEXED, len(sent), extra=0.5)]
        worker.ready(10)
    broker.close()
    indexed = {answer["anchor_id"] for answer in answers}
    lost = len(set(sent) - indexed)
    show(Account(f"to the store {fault.value}", len(sent), lost, len(answers) - len(indexed), 0.0, back))
    assert lost == 0
    assert all(answer["ok"] for answer in answers)
    assert back < BACK_SECONDS
    for subject in {str(entry.get("subject")) for entry in log.entries if "subject" in entry}:
        assert states(log, subject) == ["not ready", "recovered"]
