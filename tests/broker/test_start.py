"""Starting and stopping a worker: what is missing is said, waited for, and never a reason to die."""

from __future__ import annotations

import asyncio
import socket
import threading
import time

import pytest
from structlog.testing import LogCapture

from broker.crash import Process
from broker.harness import IN, OUT, Client, Echo, Running, until
from broker.kafka import free_ports
from vhm.contract import topics as graph
from vhm.reteller.settings import Settings
from vhm.runtime import worker
from vhm.runtime.embedded_broker import EmbeddedBroker, forwarded


class Door:
    """The embedded broker behind a fixed port that can be opened later."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        self._broker = broker
        self._closing = threading.Event()
        self.port = free_ports(1)[0]
        self.address = f"127.0.0.1:{self.port}"

    def open(self) -> None:
        """Let clients in from now on."""

        async def serve() -> None:
            async with forwarded(self._broker.address, self.port):
                await asyncio.to_thread(self._closing.wait)

        threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._closing.set()


def test_an_empty_environment_is_one_line_a_variable_and_78(capsys: pytest.CaptureFixture[str]) -> None:
    assert worker.main("reteller", Settings, lambda _: Echo(), {"HEALTH_PORT": "many"}) == 78
    assert capsys.readouterr().err.splitlines() == [
        "reteller: KAFKA_BOOTSTRAP_SERVERS: not set, wants host:port[,host:port]",
        "reteller: HEALTH_PORT: got 'many', wants a whole number from 1 to 65535",
    ]


def test_an_unreachable_broker_is_waited_for(log: LogCapture) -> None:
    broker = EmbeddedBroker()
    door = Door(broker)
    with Running(Echo(), door.address, KAFKA_GROUP_PROTOCOL="consumer") as running:
        until(lambda: any(r.startswith("broker: ") for r in running.worker.status.ready()), 20)
        page = running.get("/readyz")
        assert page.status == 503
        assert f"broker: Kafka at {door.address} cannot be reached" in page.body["reasons"][1]
        assert running.get("/livez").status == 200
        assert running.get("/startupz").status == 200
        time.sleep(1)
        door.open()
        running.ready(20)
        Client(broker.address).write([b"at last"])
        assert Client(broker.address).values(OUT) == [b"at last"]
    door.close()
    lines = [e["event"] for e in log.entries if e.get("subject") == "broker"]
    assert lines == ["not ready", "recovered"]
    assert running.code == 0


def test_what_the_handler_needs_is_waited_for(log: LogCapture) -> None:
    broker = EmbeddedBroker()
    handler = Echo()
    handler.opening = "the store at http://store:6333 does not answer"
    with Running(handler, broker.address, KAFKA_GROUP_PROTOCOL="consumer") as running:
        until(lambda: running.get("/readyz").body["reasons"][1:] == [f"open: {handler.opening}"])
        assert running.get("/livez").status == 200
        time.sleep(0.5)
        handler.opening = None
        running.ready(5)
    assert [e["event"] for e in log.entries if e.get("subject") == "open"] == ["not ready", "recovered"]


def test_what_the_handler_says_of_itself_is_in_the_readiness() -> None:
    broker = EmbeddedBroker()
    handler = Echo()
    with Running(handler, broker.address, KAFKA_GROUP_PROTOCOL="consumer") as running:
        running.ready()
        handler.reasons = ["the collection does not fit", "it is Tuesday"]
        until(lambda: running.get("/readyz").status == 503, 5)
        assert running.get("/health").status == 503
        assert running.get("/health").body["reasons"] == [
            "handler: the collection does not fit; it is Tuesday"
        ]
        handler.reasons = []
        running.ready(5)


def test_a_stop_is_heard_while_waiting_for_a_broker() -> None:
    with Running(Echo(), f"127.0.0.1:{free_ports(1)[0]}") as running:
        until(lambda: bool(running.worker.status.ready()[1:]), 20)
        began = time.monotonic()
        assert running.stop() == 0
        assert time.monotonic() - began < 3


def test_a_port_in_use_is_one_line_and_1(log: LogCapture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        async def live() -> int:
            from vhm.contract.env_loader import load

            settings = load(Settings, {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "HEALTH_PORT": str(port)})
            return await worker.Worker(Echo(), settings, host="127.0.0.1").run()

        assert asyncio.run(live()) == 1
    line = f"HEALTH_PORT: cannot listen on 127.0.0.1:{port}: in use; choose another port"
    assert [e["event"] for e in log.entries if e["log_level"] == "error"] == [line]


def test_missing_topics_are_named_when_they_are_not_to_be_created() -> None:
    broker = EmbeddedBroker()
    with Running(
        Echo(), broker.address, KAFKA_GROUP_PROTOCOL="consumer", KAFKA_CREATE_TOPICS="false"
    ) as running:
        wanted = "topics: missing: " + ", ".join(graph.needs("reteller"))
        until(lambda: any(r.startswith(wanted) for r in running.worker.status.ready()))
        for topic in graph.needs("reteller"):
            Client(broker.address).producer.list_topics(topic, timeout=5)
        running.ready(10)


def test_records_the_broker_dropped_are_told(log: LogCapture) -> None:
    broker = EmbeddedBroker()
    client = Client(broker.address)
    handler = Echo(batch_size=10)
    with Running(handler, broker.address, KAFKA_GROUP_PROTOCOL="consumer") as running:
        running.ready().assigned()
        client.write([b"first"], partition=0)
        until(lambda: client.committed().get(0) == 1, 10)
    client.write((b"x" * 100_000 for _ in range(80)), partition=0)  # 8 MB; the broker keeps 5
    with Running(handler, broker.address, KAFKA_GROUP_PROTOCOL="consumer") as running:
        running.ready().assigned()
        until(lambda: running.get("/health").body["counters"]["records_skipped"] > 0, 20)
        skipped = int(running.get("/health").body["counters"]["records_skipped"])
        until(lambda: len(handler.handled) == 81 - skipped, 20)
    line = next(e for e in log.entries if e["log_level"] == "error")
    assert line["event"] == "records were dropped by the broker before they were consumed"
    assert (line["topic"], line["expected"], line["skipped"]) == (IN, 1, skipped)


def test_sigterm_ends_a_process_with_0_and_the_log_is_json() -> None:
    broker = EmbeddedBroker()
    process = Process(broker.address, KAFKA_GROUP_PROTOCOL="consumer")
    try:
        until(lambda: any(line["event"] == "consuming" for line in process.lines()), 30)
        began = time.monotonic()
        assert process.stop() == 0
        assert time.monotonic() - began < 3
        assert process.lines()[-1]["event"] == "stopped"
        assert {line["worker"] for line in process.lines()} == {"reteller"}
    finally:
        if process.code is None:
            process.kill()


def test_a_second_signal_ends_a_process_at_once() -> None:
    broker = EmbeddedBroker()
    process = Process(broker.address, KAFKA_GROUP_PROTOCOL="consumer", VHM_TEST_HANG="1")
    try:
        until(lambda: any(line["event"] == "consuming" for line in process.lines()), 30)
        Client(broker.address).write([b"never answered"])
        until(lambda: process.took() > 0, 10)
        process.signal(15)
        time.sleep(0.5)
        assert process.code is None
        process.signal(15)
        assert process.wait(3) == 128 + 15
    finally:
        if process.code is None:
            process.kill()


def test_a_loop_that_stands_still_and_a_silent_poll_thread_are_not_alive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vhm.runtime.status.POLL_STALLED_SECONDS", 0.4)
    monkeypatch.setattr("vhm.runtime.status.HANDLER_STUCK_SECONDS", 0.4)
    broker = EmbeddedBroker()
    handler = Echo(batch_size=1)
    with Running(handler, broker.address, KAFKA_GROUP_PROTOCOL="consumer") as running:
        running.ready().assigned()
        assert running.get("/livez").status == 200
        Client(broker.address).write([b"hold"])
        until(lambda: running.get("/livez").status == 503, 5)
        assert running.get("/livez").body["reasons"][0].startswith("handler: one call has taken")
        handler.let_go.set()
        until(lambda: running.get("/livez").status == 200, 5)
        consumer = running.worker.status.consumer
        assert consumer is not None
        stuck = threading.Event()
        monkeypatch.setattr(consumer.poller, "_poll", lambda most: stuck.wait(20) and [])
        until(lambda: running.get("/livez").status == 503, 5)
        assert running.get("/livez").body["reasons"][0].startswith("poll thread: stalled")
        stuck.set()


def test_a_poll_thread_that_dies_ends_the_worker(log: LogCapture, monkeypatch: pytest.MonkeyPatch) -> None:
    broker = EmbeddedBroker()
    with Running(Echo(), broker.address, KAFKA_GROUP_PROTOCOL="consumer") as running:
        running.ready().assigned()
        consumer = running.worker.status.consumer
        assert consumer is not None

        def die(most: int) -> None:
            raise MemoryError

        monkeypatch.setattr(consumer.poller, "_poll", die)
        assert running.join(15) == 1
    assert any(e["event"] == "the runtime failed: MemoryError()" for e in log.entries)
