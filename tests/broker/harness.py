"""Running a worker inside a test, and clients to talk to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, Producer, TopicPartition

from vhm.contract.env_loader import load
from vhm.reteller.settings import Settings
from vhm.runtime.handler import Handler, Outcome, Outgoing, Poison, Record, Reply, UnavailableError
from vhm.runtime.settings import WorkerSettings
from vhm.runtime.worker import Worker

IN, OUT, DEAD = "recall-response", "retell-response", "recall-response.dead-letter"
GROUP = "reteller"


class Echo:
    """A handler that answers every record with itself, and misbehaves on demand.

    `poison…` is refused, `boom…` raises (its answer as well, if `unanswerable`), `big:N` is answered with N
    bytes, `hold…` waits for `let_go`;
    while `down` is set everything is unavailable for that reason."""

    name = GROUP

    def __init__(self, *, batch_size: int = 50, max_batches: int = 4, seconds: float = 0.0) -> None:
        self.batch_size = batch_size
        self.max_batches = max_batches
        self.seconds = seconds
        self.down: str | None = None
        self.opening: str | None = None
        self.reasons: list[str] = []
        self.handled: list[Record] = []
        self.calls = 0
        self.drained: float | None = None
        self.closed = False
        self.let_go = threading.Event()

    async def open(self) -> None:
        if self.opening is not None:
            raise UnavailableError(self.opening)

    async def handle(self, records: Sequence[Record]) -> list[Outcome]:
        self.calls += 1
        if self.down is not None:
            raise UnavailableError(self.down)
        if self.seconds:
            await asyncio.sleep(self.seconds)
        outcomes = [await self._outcome(record) for record in records]
        self.handled += records
        return outcomes

    async def _outcome(self, record: Record) -> Outcome:
        value = record.value or b""
        if value.startswith(b"poison"):
            answer = (Outgoing(topic=OUT, key=b"refused", value=value),) if b"answered" in value else ()
            return Poison(reason="nonsense", errors=("text: required, missing",), records=answer)
        if value.startswith(b"boom"):
            raise RuntimeError("a defect")
        if value.startswith(b"big:"):
            value = b"x" * int(value[4:])
        while value.startswith(b"hold") and not self.let_go.is_set():  # noqa: ASYNC110  see below
            await asyncio.sleep(0.005)  # the event is set from the test's thread
        return Reply((Outgoing(topic=OUT, key=record.key or b"none", value=value),))

    def failed(self, record: Record, error: str) -> Sequence[Outgoing]:
        if b"unanswerable" in (record.value or b""):
            raise RuntimeError("another defect")
        return (Outgoing(topic=OUT, key=b"failed", value=error.encode()),)

    async def not_ready(self) -> list[str]:
        return self.reasons

    def details(self) -> Sequence[str]:
        return ()

    def drain(self, seconds: float) -> None:
        self.drained = seconds

    async def close(self) -> None:
        self.closed = True


class Answer(NamedTuple):
    """What a health page said."""

    status: int
    body: Any


class Running:
    """A worker on an event loop in a thread of its own; a context manager that stops it in the end."""

    def __init__(
        self, handler: Handler, bootstrap: str, settings: WorkerSettings | None = None, /, **environment: str
    ) -> None:
        """A reteller's settings from the environment, if others are not given."""
        given = {"KAFKA_BOOTSTRAP_SERVERS": bootstrap, "RETELLER_SHUTDOWN_TIMEOUT_SECONDS": "5"}
        self._handler: Any = handler  # tests look at the handler they made
        self._settings: WorkerSettings = settings or load(Settings, given | environment)
        self._made = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.code: int | None = None
        self.worker: Worker
        self.loop: asyncio.AbstractEventLoop

    def __enter__(self) -> Running:
        self._thread.start()
        self._made.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        async def live() -> int:
            self.loop = asyncio.get_running_loop()
            self.worker = Worker(self._handler, self._settings, host="127.0.0.1", port=0)
            self._made.set()
            return await self.worker.run()

        self.code = asyncio.run(live())

    def stop(self, seconds: float = 30) -> int | None:
        """Ask it to stop and wait; its exit code."""
        if self._thread.is_alive() and not self.loop.is_closed():
            with contextlib.suppress(RuntimeError):  # it ended by itself just now
                self.loop.call_soon_threadsafe(self.worker.stop)
        return self.join(seconds)

    def join(self, seconds: float = 30) -> int | None:
        """Wait until it has ended by itself; its exit code."""
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "the worker did not stop"
        return self.code

    def ready(self, seconds: float = 30) -> Running:
        """Wait until it says that it is; returns itself."""
        until(lambda: not self.worker.status.ready(), seconds, lambda: str(self.worker.status.ready()))
        return self

    def assigned(self, partitions: int | None = None, seconds: float = 30) -> Running:
        """Wait until it owns so many partitions (any, if not said); returns itself."""
        until(
            lambda: (owned := len(self.partitions())) == partitions or (partitions is None and owned > 0),
            seconds,
        )
        return self

    def partitions(self) -> set[tuple[str, int]]:
        """What is assigned to it."""
        consumer = self.worker.status.consumer
        return set(consumer.assignment.positions()) if consumer is not None else set()

    def get(self, path: str) -> Answer:
        """Ask a health page."""
        until(lambda: self.worker.port != 0, 20)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.worker.port}{path}", timeout=20) as page:
                status, body = page.status, page.read().decode()
        except urllib.error.HTTPError as error:
            status, body = error.code, error.read().decode()
        return Answer(status, json.loads(body) if body.startswith("{") else body)


def until(
    true: Callable[[], bool], seconds: float = 30, explain: Callable[[], str] = lambda: "not in time"
) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.01)


class Client:
    """Writes to topics and reads them from their beginning, without a group."""

    def __init__(self, bootstrap: str) -> None:
        self.config = {"bootstrap.servers": bootstrap, "log_level": 0}
        self.producer = Producer(self.config | {"linger.ms": 1, "message.max.bytes": 20_000_000})

    def write(
        self,
        values: Iterable[bytes],
        topic: str = IN,
        key: bytes | None = None,
        headers: list[tuple[str, str | bytes | None]] | None = None,
        partition: int = -1,
    ) -> None:
        """Produce these and wait for the broker."""
        failed: list[str] = []
        for value in values:
            self.producer.produce(
                topic,
                value,
                key,
                partition,
                headers=headers or [],
                on_delivery=lambda error, _: failed.append(str(error)) if error else None,
            )
            self.producer.poll(0)
        assert self.producer.flush(60) == 0
        assert not failed, failed[0]

    def read(
        self, topic: str = OUT, count: int = 1, seconds: float = 30, extra: float = 0.0
    ) -> list[Message]:
        """The first `count` records of a topic, and what else comes within `extra` seconds."""
        consumer = Consumer(
            self.config | {"group.id": "tests", "enable.auto.commit": False, "fetch.wait.max.ms": 20}
        )
        try:
            partitions: list[int] = []
            deadline = time.monotonic() + seconds
            while not partitions:
                found = consumer.list_topics(topic, timeout=10).topics[topic]
                partitions = list(found.partitions) if found.error is None else []
                assert time.monotonic() < deadline, f"no topic {topic}"
            consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in partitions])
            messages: list[Message] = []
            while True:
                enough = len(messages) >= count
                if enough and not extra:
                    return messages
                if enough:
                    deadline, extra = time.monotonic() + extra, 0.0
                    messages += [m for m in _rest(consumer, deadline) if m.error() is None]
                    return messages
                assert time.monotonic() < deadline, f"{len(messages)} of {count} records in {topic}"
                messages += [m for m in consumer.consume(10_000, 0.05) if m.error() is None]
        finally:
            consumer.close()

    def values(self, topic: str = OUT, count: int = 1, extra: float = 0.0) -> list[bytes]:
        """Values only, see `read`."""
        return [message.value() or b"" for message in self.read(topic, count, extra=extra)]

    def committed(self, topic: str = IN, group: str = GROUP) -> dict[int, int]:
        """Committed offsets by partition, of those that have one."""
        consumer = Consumer(self.config | {"group.id": group})
        try:
            partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
            answers = consumer.committed([TopicPartition(topic, p) for p in partitions], 10)
            return {a.partition: a.offset for a in answers if a.offset >= 0}
        finally:
            consumer.close()

    def end(self, at: TopicPartition) -> int:
        """The offset after the last record of a partition."""
        consumer = Consumer(self.config | {"group.id": "tests"})
        try:
            return consumer.get_watermark_offsets(at, timeout=10)[1]
        finally:
            consumer.close()


def _rest(consumer: Consumer, deadline: float) -> Iterable[Message]:
    while time.monotonic() < deadline:
        yield from consumer.consume(10_000, 0.05)
