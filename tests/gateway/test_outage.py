"""What becomes of memories while the gateway is killed or its broker is away."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from types import TracebackType
from typing import Any

import httpx
import pytest

from broker.kafka import free_ports
from gateway.conftest import client
from gateway.serving import KEY, Served
from vhm.client.kafka import KafkaTransport
from vhm.contract.env_loader import load
from vhm.contract.settings import Settings
from vhm.local import System
from vhm.runtime.embedded_broker import forwarded

MEMORIES = "/v1/owners/sam/memories"
WRITERS = 6
AWAY_SECONDS = 30.0


class Way:
    """A way to the broker at `address` that can be closed and opened again, on a port of its own."""

    def __init__(self, address: str) -> None:
        (port,) = free_ports(1)
        self.address = f"127.0.0.1:{port}"
        self._to, self._port = address, port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.open()

    def open(self) -> None:
        self._way = forwarded(self._to, self._port)
        asyncio.run_coroutine_threadsafe(self._way.__aenter__(), self._loop).result(10)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._way.__aexit__(None, None, None), self._loop).result(10)

    def end(self) -> None:
        self.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


class Writers:
    """Threads that remember all the time, each memory once, and note what they are told."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._write) for _ in range(WRITERS)]
        self.accepted: list[str] = []
        """Ids that were answered 202, or named by a 503."""
        self.answers: Counter[int] = Counter()
        self.problems: list[dict[str, Any]] = []
        self.cut = 0
        """Requests that had no answer at all."""

    def __enter__(self) -> Writers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def until_accepted(self, more: int, seconds: float = 30) -> None:
        """Wait until so many more were accepted."""
        count, until = len(self.accepted) + more, time.monotonic() + seconds
        while len(self.accepted) < count:
            assert time.monotonic() < until, self.answers
            time.sleep(0.02)

    def _write(self) -> None:
        bearer = {"Authorization": f"Bearer {KEY}"}
        while not self._ended.wait(0.02):
            pair = [{"text": "a", "anchor_id": str(uuid.uuid4())} for _ in range(2)]
            try:
                answer = httpx.post(self._url + MEMORIES, json=pair, headers=bearer, timeout=60)
            except httpx.HTTPError:
                self.cut += 1
                continue
            self.answers[answer.status_code] += 1
            if answer.status_code == 202:
                self.accepted += [receipt["anchor_id"] for receipt in answer.json()["receipts"]]
            else:
                self.problems.append(answer.json() | {"retry": answer.headers.get("retry-after")})
                self.accepted += answer.json().get("ids", [])


def lost(served: Served, ids: list[str], seconds: float = 20) -> set[str]:
    """Those of the ids that nothing is stored under, `seconds` being enough to store them all."""
    missing, until = set(ids), time.monotonic() + seconds
    with client(served, KEY) as somebody:
        while missing and time.monotonic() < until:
            missing -= {one for one in missing if somebody.get(f"{MEMORIES}/{one}").status_code == 200}
    return missing


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_broker_that_is_away_loses_nothing_that_was_accepted(system: System, served: Served) -> None:
    way = Way(system.bootstrap)
    settings = load(Settings, {"KAFKA_BOOTSTRAP_SERVERS": way.address})
    transport = KafkaTransport(settings, system.reader)
    with Served(system, transport=transport) as gateway, Writers(gateway.url) as writers:
        writers.until_accepted(200)
        way.close()
        gone = time.monotonic()
        with client(gateway, KEY) as asker:
            asked = asker.post("/v1/owners/sam/recall", json={"query": "a"}, timeout=60)
        assert asked.status_code == 503
        assert "broker" in asked.json()["detail"]
        assert int(asked.headers["retry-after"]) > 0
        time.sleep(max(0, AWAY_SECONDS - (time.monotonic() - gone)))
        way.open()
        back = time.monotonic()
        writers.until_accepted(200)
        print(f"accepted again {time.monotonic() - back:.1f} s after the broker came back")
    print(f"{len(writers.accepted)} accepted, answers {dict(writers.answers)}")
    assert set(writers.answers) == {202, 503}
    assert writers.cut == 0
    for problem in writers.problems:
        assert "broker" in problem["detail"]
        assert int(problem["retry"]) > 0
    assert lost(served, writers.accepted) == set()
    way.end()


def start(system: System, port: int) -> subprocess.Popen[bytes]:
    """A gateway in a process of its own, once it answers."""
    environment = {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": system.bootstrap,
        "QDRANT_URL": "http://127.0.0.1:1",
        "GATEWAY_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "GATEWAY_KEYS": f"*={KEY}",
        "GATEWAY_REQUESTS_PER_MINUTE": "1000000",
        "HEALTH_PORT": str(free_ports(1)[0]),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "vhm", "gateway"], env=environment, stdout=subprocess.DEVNULL
    )
    until = time.monotonic() + 60
    while True:
        try:
            httpx.get(f"http://127.0.0.1:{port}/schema/openapi.json")
        except httpx.HTTPError:
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.1)
        else:
            return process


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_gateway_killed_between_record_and_answer_loses_nothing(system: System, served: Served) -> None:
    (port,) = free_ports(1)
    process = start(system, port)
    try:
        with Writers(f"http://127.0.0.1:{port}") as writers:
            for _ in range(3):
                writers.until_accepted(100)
                process.kill()
                process.wait()
                process = start(system, port)
            writers.until_accepted(100)
    finally:
        process.kill()
        process.wait()
    print(f"{len(writers.accepted)} accepted, {writers.cut} cut, answers {dict(writers.answers)}")
    assert writers.cut > 0
    assert lost(served, writers.accepted) == set()
