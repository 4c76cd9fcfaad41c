"""Producing from the event loop: records out, and the broker's answer to each.

Delivery reports are served on the loop itself, by short polls while answers are outstanding: a thread of
its own would have to win the interpreter's lock once a record.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Sequence

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from vhm.runtime.metrics import Metrics

BUSY_SECONDS = 0.000_5
IDLE_SECONDS = 0.1
"""Pause between polls of the producer: just after an answer, and when none is expected."""

HeaderList = list[tuple[str, str | bytes | None]]
"""As the client wants them; ours are always bytes."""


class ProducerRecord(msgspec.Struct, gc=False):
    """One record on its way. `index` says which record of the batch it answers."""

    index: int
    topic: str
    key: bytes | None
    value: bytes | None
    headers: HeaderList
    is_dead_letter: bool = False


class DeliveryFailure(msgspec.Struct):
    """Kafka refused this one."""

    sending: ProducerRecord
    error: KafkaError


class _Answers:
    __slots__ = ("failures", "future", "left", "since")

    def __init__(self, count: int, future: asyncio.Future[None]) -> None:
        self.left = count
        self.failures: list[DeliveryFailure] = []
        self.future = future
        self.since = time.monotonic()


class RecordProducer:
    """One producer, used from one event loop."""

    def __init__(self, producer: Producer, loop: asyncio.AbstractEventLoop, metrics: Metrics) -> None:
        self._producer = producer
        self._loop = loop
        self._metrics = metrics
        self._waiting: dict[int, _Answers] = {}
        self._pause = IDLE_SECONDS
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._acknowledged = 0
        self._serve()

    async def send(self, records_out: Sequence[ProducerRecord]) -> list[DeliveryFailure]:
        """Produce all of these; returns when each is acknowledged or refused, with the refused."""
        if not records_out:
            return []
        answers = _Answers(len(records_out), self._loop.create_future())
        self._waiting[id(answers)] = answers
        produce, answered = self._producer.produce, self._answered
        try:
            for sending in records_out:
                report = functools.partial(answered, answers, sending)
                while True:
                    try:
                        produce(
                            sending.topic,
                            sending.value,
                            sending.key,
                            on_delivery=report,
                            headers=sending.headers,
                        )
                    except BufferError:  # librdkafka's queue is full: let it send
                        self._wake()
                        await asyncio.sleep(0.002)
                        continue
                    except KafkaException as error:
                        answered(answers, sending, error.args[0])
                    break
            self._wake()
            await answers.future
        finally:
            self._waiting.pop(id(answers), None)
        return answers.failures

    @property
    def unanswered_seconds(self) -> float:
        """How long the oldest call of `send` has been waiting, seconds."""
        oldest = min((a.since for a in self._waiting.values()), default=None)
        return 0.0 if oldest is None else time.monotonic() - oldest

    def close(self) -> None:
        """Serve no more answers."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()

    def _answered(
        self, answers: _Answers, sending: ProducerRecord, error: KafkaError | None, _: Message | None = None
    ) -> None:
        if error is not None:
            answers.failures.append(DeliveryFailure(sending, error))
        else:
            self._acknowledged += 1
        answers.left -= 1
        if answers.left == 0 and not answers.future.done():
            answers.future.set_result(None)

    def _wake(self) -> None:
        self._pause = BUSY_SECONDS
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(BUSY_SECONDS, self._serve)

    def _serve(self) -> None:
        """Poll, and come back soon while answers come, ever later while they do not."""
        if self._closed:
            return
        served = self._producer.poll(0)
        if self._acknowledged:
            self._metrics.produced.inc(self._acknowledged)
            self._acknowledged = 0
        if not self._waiting:
            self._pause = IDLE_SECONDS
        elif served:
            self._pause = BUSY_SECONDS
        else:
            self._pause = min(self._pause * 1.25, 0.02)
        self._timer = self._loop.call_later(self._pause, self._serve)
