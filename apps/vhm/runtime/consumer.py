"""A worker's membership of its consumer group, from subscribing to leaving."""

from __future__ import annotations

import asyncio
import contextlib
import time

from confluent_kafka import Consumer

from vhm.runtime.assignment import Assignment
from vhm.runtime.backpressure import Backpressure
from vhm.runtime.context import WorkerContext
from vhm.runtime.offset_committer import OffsetCommitter
from vhm.runtime.pipeline import Pipeline
from vhm.runtime.poller import Poller
from vhm.runtime.producer import RecordProducer
from vhm.runtime.threads import in_daemon_thread

CLOSE_SECONDS = 5.0
"""Longest wait for the last commit and for leaving the group; both need the broker."""


class WorkerConsumer:
    """A subscribed consumer and the pipeline behind it. Lives on the event loop that makes it."""

    def __init__(
        self, context: WorkerContext, consumer: Consumer, producer: RecordProducer, *, embedded: bool = False
    ) -> None:
        self._log = context.log
        backpressure = Backpressure(context.handler.max_batches)
        committer = OffsetCommitter(consumer)
        self.assignment = Assignment(context, committer)
        self.pipeline = Pipeline(context, self.assignment, backpressure, producer)
        self.poller = Poller(context, consumer, committer, backpressure, self.pipeline, embedded=embedded)
        self.poller.start()

    async def close(self, seconds: float) -> None:
        """Stop polling, drain for up to `seconds`, commit what is done and leave the group."""
        began = time.monotonic()
        self.poller.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await in_daemon_thread(
                    self.poller.join
                )  # by then the records polled last are in the pipeline
        left = await self.pipeline.drain(max(0.0, seconds - (time.monotonic() - began)))
        self._log.info("drained", left_undone=left, after_seconds=round(time.monotonic() - began, 2))
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await in_daemon_thread(self.poller.close)
        except TimeoutError:
            self._log.warning("closed without leaving the group: Kafka did not answer", seconds=CLOSE_SECONDS)
