"""Everything between subscribing and leaving the group, put together."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from confluent_kafka import Consumer, KafkaError

from vhm.contract import topics as graph
from vhm.runtime.assignment import Assignment
from vhm.runtime.backpressure import Backpressure
from vhm.runtime.delivery import Delivery
from vhm.runtime.handler import Handler
from vhm.runtime.metrics import Metrics
from vhm.runtime.offset_committer import OffsetCommitter
from vhm.runtime.pipeline import Pipeline
from vhm.runtime.poller import Poller
from vhm.runtime.producer import RecordProducer
from vhm.runtime.readiness import Readiness
from vhm.runtime.retry import RetryingHandler
from vhm.runtime.threads import in_daemon_thread

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

CLOSE_SECONDS = 5.0
"""Longest wait for the last commit and for leaving the group; both need the broker."""


class WorkerConsumer:
    """A subscribed consumer at work. Lives on the event loop that makes it."""

    def __init__(
        self,
        *,
        handler: Handler,
        consumer: Consumer,
        producer: RecordProducer,
        readiness: Readiness,
        metrics: Metrics,
        log: FilteringBoundLogger,
        build: str,
        release_seconds: float,
        on_error: Callable[[KafkaError], None],
        on_refusal: Callable[[KafkaError], object],
        on_defect: Callable[[BaseException], None],
    ) -> None:
        self._log = log
        window = Backpressure(handler.window)
        offsets = OffsetCommitter(consumer)
        self.partitions = Assignment(offsets, metrics, log)
        self.pipeline = Pipeline(
            batch=handler.batch,
            partitions=self.partitions,
            attempts=RetryingHandler(handler, readiness, metrics, log),
            delivery=Delivery(producer, readiness, metrics, log, build, on_refusal),
            window=window,
            readiness=readiness,
            metrics=metrics,
            on_error=on_error,
            on_defect=on_defect,
        )
        self.poller = Poller(
            consumer,
            graph.reads(handler.name),
            batch=handler.batch,
            window=window,
            offsets=offsets,
            sink=self.pipeline,
            loop=asyncio.get_running_loop(),
            release_seconds=release_seconds,
        )
        self.poller.start()

    async def end(self, seconds: float) -> None:
        """Take nothing more, finish what is in flight within `seconds`, commit it and leave the group."""
        began = time.monotonic()
        self.poller.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await in_daemon_thread(self.poller.join)  # what it took last has been handed over by then
        left = await self.pipeline.drain(max(0.0, seconds - (time.monotonic() - began)))
        self._log.info("drained", left_undone=left, after_seconds=round(time.monotonic() - began, 2))
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await in_daemon_thread(self.poller.close)
        except TimeoutError:
            self._log.warning("left without a goodbye: Kafka did not answer", seconds=CLOSE_SECONDS)
