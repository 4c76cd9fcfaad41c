"""Producing from the event loop: records out, and the broker's acknowledgement of each.

Delivery reports are served on the loop itself, by short polls while some are outstanding: a thread of its
own would have to win the interpreter's lock once a record. (confluent-kafka's AIOProducer takes no headers.)
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Sequence

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from vhm.runtime.context import WorkerContext

BUSY_SECONDS = 0.000_5
IDLE_SECONDS = 0.1
"""Pause between polls of the producer: just after a delivery report, and when none is outstanding."""

HeaderList = list[tuple[str, str | bytes | None]]
"""Headers in the client's type; ours are always bytes."""


class ProducerRecord(msgspec.Struct, gc=False):
    """One record to produce. `index` is the place in its batch of the consumed record that it answers."""

    index: int
    topic: str
    key: bytes | None
    value: bytes | None
    headers: HeaderList
    is_dead_letter: bool = False


class DeliveryFailure(msgspec.Struct):
    """A record that Kafka refused."""

    record: ProducerRecord
    error: KafkaError


class DeliveryReports:
    """The delivery reports of one call of `send`: the number outstanding, and the failures so far."""

    __slots__ = ("failures", "outstanding", "since", "waiter")

    def __init__(self, count: int, waiter: asyncio.Future[None]) -> None:
        self.outstanding = count
        self.failures: list[DeliveryFailure] = []
        self.waiter = waiter
        self.since = time.monotonic()

    def on_report(self, record: ProducerRecord, error: KafkaError | None, _: Message | None = None) -> None:
        """`record` is acknowledged, or refused with `error`."""
        if error is not None:
            self.failures.append(DeliveryFailure(record, error))
        self.outstanding -= 1
        if not self.outstanding and not self.waiter.done():
            self.waiter.set_result(None)


class RecordProducer:
    """One producer, used from one event loop."""

    def __init__(self, context: WorkerContext, producer: Producer) -> None:
        self._producer = producer
        self._loop = asyncio.get_running_loop()
        self._metrics = context.metrics
        self._outstanding: dict[int, DeliveryReports] = {}
        self._pause = IDLE_SECONDS
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._serve()

    async def send(self, records: Sequence[ProducerRecord]) -> list[DeliveryFailure]:
        """Produce these; returns when each is acknowledged or refused, with those refused."""
        if not records:
            return []
        reports = DeliveryReports(len(records), self._loop.create_future())
        self._outstanding[id(reports)] = reports
        produce, on_report = self._producer.produce, reports.on_report
        try:
            for record in records:
                report = functools.partial(on_report, record)
                while True:
                    try:  # by position, which the client parses in half the time
                        produce(record.topic, record.value, record.key, -1, report, None, 0, record.headers)
                    except BufferError:  # librdkafka's queue is full: let it send
                        self._wake()
                        await asyncio.sleep(0.002)
                        continue
                    except KafkaException as error:
                        on_report(record, error.args[0])
                    break
            self._wake()
            await reports.waiter
        finally:
            self._outstanding.pop(id(reports), None)
            self._metrics.produced.inc(len(records) - reports.outstanding - len(reports.failures))
        return reports.failures

    @property
    def oldest_unacknowledged(self) -> float:
        """Seconds for which the oldest call of `send` has been waiting."""
        oldest = min((reports.since for reports in self._outstanding.values()), default=None)
        return 0.0 if oldest is None else time.monotonic() - oldest

    def close(self) -> None:
        """Serve no more delivery reports."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()

    def _wake(self) -> None:
        self._pause = BUSY_SECONDS
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(BUSY_SECONDS, self._serve)

    def _serve(self) -> None:
        """Poll, and again soon while reports come, ever later while none does."""
        if self._closed:
            return
        served = self._producer.poll(0)
        if not self._outstanding:
            self._pause = IDLE_SECONDS
        elif served:
            self._pause = BUSY_SECONDS
        else:
            self._pause = min(self._pause * 1.25, 0.02)
        self._timer = self._loop.call_later(self._pause, self._serve)
