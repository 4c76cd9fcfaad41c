"""The indexer while its store is away, refuses, dawdles or talks nonsense: it waits and loses nothing."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator

import pytest
from structlog.testing import LogCapture

from anchors.standin import Answer, StandIn
from broker.conftest import Show
from broker.crash import Account
from broker.harness import Client, Running, until
from vhm.contract.env_loader import load
from vhm.contract.topics import ANCHORS_INDEXED, ANCHORS_WRITE
from vhm.indexer.settings import Settings
from vhm.indexer.worker import make
from vhm.runtime.embedded_broker import EmbeddedBroker

GONE_SECONDS = float(os.environ.get("VHM_TEST_GONE_SECONDS", "3"))


def anchor() -> bytes:
    return json.dumps(
        {"anchor_id": str(uuid.uuid4()), "text": "we met by the sea", "stored_at": "2026-11-01T12:00:00Z"}
    ).encode()


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    broker = EmbeddedBroker()
    yield broker
    broker.close()


@pytest.fixture
def standin() -> Iterator[StandIn]:
    standin = StandIn()
    yield standin
    standin.close()


def indexer(broker: EmbeddedBroker, url: str, **more: str) -> Running:
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": broker.address,
        "KAFKA_GROUP_PROTOCOL": "consumer",
        "QDRANT_URL": url,
        "EMBEDDING_MODEL": "deterministic",
    }
    settings = load(Settings, environment | more)
    return Running(make(settings), broker.address, settings)


def slow(method: str, path: str) -> Answer | None:
    time.sleep(0.5)
    return None


FAULTS: dict[str, Callable[[str, str], Answer | None]] = {
    "500": lambda method, path: (500, b'{"status":{"error":"disk full"}}'),
    "507": lambda method, path: (507, b'{"status":{"error":"No space left on device"}}'),
    "429": lambda method, path: (429, b'{"status":{"error":"slow down"}}'),
    "nonsense": lambda method, path: (200, b"<html>a proxy's greeting</html>"),
}


@pytest.mark.parametrize(
    "fault", ["500", *(pytest.param(other, marks=pytest.mark.slow) for other in FAULTS if other != "500")]
)
def test_a_store_that_refuses_is_waited_for(
    broker: EmbeddedBroker, standin: StandIn, fault: str, show: Show, log: LogCapture
) -> None:
    client = Client(broker.address)
    with indexer(broker, standin.url) as worker:
        worker.ready(60).assigned()
        standin.fault = FAULTS[fault]
        client.write((anchor() for _ in range(50)), ANCHORS_WRITE)
        until(lambda: worker.get("/readyz").status == 503)
        began = time.monotonic()
        while time.monotonic() < began + GONE_SECONDS:
            assert worker.get("/livez").status == 200
            assert worker.get("/readyz").status == 503
            time.sleep(0.25)
        assert client.committed(ANCHORS_WRITE, "indexer") == {}
        standin.fault = None
        back = time.monotonic()
        answers = [json.loads(value) for value in client.values(ANCHORS_INDEXED, 50, extra=0.3)]
        recovery = time.monotonic() - back
        assert recovery < 10
        worker.ready(10)
        answered = {answer["anchor_id"] for answer in answers}
        show(Account(f"store answers {fault}", 50, 50 - len(answered), len(answers) - 50, 0.0, recovery))
        assert len(answers) == len(answered) == 50
        assert all(answer["ok"] for answer in answers)
    work = [e["event"] for e in log.entries if e.get("subject") == "work"]
    assert work == ["not ready", "recovered"]


@pytest.mark.slow
def test_a_slow_store_is_only_slow(broker: EmbeddedBroker, standin: StandIn) -> None:
    client = Client(broker.address)
    with indexer(broker, standin.url) as worker:
        worker.ready(60).assigned()
        standin.fault = slow
        client.write((anchor() for _ in range(50)), ANCHORS_WRITE)
        assert len(client.values(ANCHORS_INDEXED, 50)) == 50
        assert worker.get("/livez").status == 200


def test_a_store_that_comes_later_is_waited_for(broker: EmbeddedBroker, standin: StandIn) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with indexer(broker, f"http://127.0.0.1:{port}") as worker:
        until(lambda: any(f"Qdrant at http://127.0.0.1:{port}" in r for r in worker.worker.status.ready()))
        assert worker.get("/livez").status == 200
        assert worker.get("/startupz").status == 200
        forward(port, int(standin.url.rpartition(":")[2]))
        worker.ready(15)


def forward(port: int, to: int) -> None:
    """Let connections to `port` through to another one, from now on."""
    listener = socket.create_server(("127.0.0.1", port))

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the other direction closed it
            while data := source.recv(65_536):
                sink.sendall(data)
        sink.close()

    def serve() -> None:
        while True:
            here, _ = listener.accept()
            there = socket.create_connection(("127.0.0.1", to))
            for pair in ((here, there), (there, here)):
                threading.Thread(target=pump, args=pair, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
