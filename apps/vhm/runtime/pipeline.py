"""A record's way from the poll to the commit, several batches at once.

    poll thread                          event loop
    -----------                          ----------
    Poller: consume ───── batches ────▶  Pipeline.accept
       ▲    │                               │  Assignment.track ──▶ OffsetTracker.add     (in flight)
       │    └─ Backpressure.acquire         ▼
       │                                 RetryingHandler.outcomes ──▶ Handler.handle
       │                                    ▼
       │                                 Delivery.deliver ──▶ RecordProducer.send ──▶ Kafka
       │                                    ▼ acknowledged
       │                                 Assignment.mark_done ──▶ OffsetTracker.mark_done
       │                                    │ contiguous done prefix has grown
    OffsetCommitter.flush ◀── positions ─── OffsetCommitter.store
       │                                    │ batch over
       ▼                                 Backpressure.release
    Consumer.store_offsets ──▶ librdkafka commits every 200 ms, on revoke and on close

An offset is committed only when the broker has acknowledged everything that it and all before it led to: a
crash repeats records and loses none. Two threads, because a consumer serves one thread at a time and must
be polled while a batch takes long; whatever needs the consumer is therefore done on the poll thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence

from confluent_kafka import KafkaError, Message

from vhm.runtime.assignment import Assignment, TrackedRecord
from vhm.runtime.backpressure import Backpressure
from vhm.runtime.context import WorkerContext
from vhm.runtime.delivery import Delivery
from vhm.runtime.handler import Record
from vhm.runtime.kafka_config import describe
from vhm.runtime.offset_tracker import Partition
from vhm.runtime.producer import RecordProducer
from vhm.runtime.retry import RetryingHandler


class StoppedError(Exception):
    """A stop began while a batch waited for its next try; the partition's next owner gets its records."""


class Batch:
    """The records of one call of the handler, each with the tracker of its offset."""

    def __init__(self, tracked: Sequence[TrackedRecord], size: int) -> None:
        self.tracked = tracked
        self.records = [record for record, _ in tracked]
        self.size = size
        """Bytes of the messages, as Backpressure counts them."""
        self.pausing = False
        """Between two tries."""
        self.handling_since: float | None = time.monotonic()
        """When the handler got the batch, on the monotonic clock; None while it does not have it."""


class Pipeline:
    """Everything that happens to a record between being polled and being committed. A `Sink`."""

    def __init__(
        self,
        context: WorkerContext,
        assignment: Assignment,
        backpressure: Backpressure,
        producer: RecordProducer,
    ) -> None:
        self._context = context
        self._assignment = assignment
        self._backpressure = backpressure
        self._handler = RetryingHandler(context)
        self._delivery = Delivery(context, producer)
        self._batches: dict[asyncio.Task[None], Batch] = {}
        self._stopping = asyncio.Event()

    def assigned(self, committed: Mapping[Partition, int | None]) -> None:
        """See `Sink`."""
        self._context.readiness.report("group", None)
        self._assignment.add(committed)

    async def revoked(self, partitions: Iterable[Partition], seconds: float) -> None:
        """See `Sink`. Batches that only wait for their next try are not waited for."""
        await self._assignment.drain(partitions, seconds, self._only_pausing)

    def lost(self, partitions: Iterable[Partition]) -> None:
        """See `Sink`."""
        self._assignment.lose(partitions)

    def accept(self, messages: Sequence[Message], size: int) -> None:
        """See `Sink`."""
        self._context.readiness.report("group", None)
        batch = self._batch(messages, size)
        task = asyncio.get_running_loop().create_task(self._process(batch))
        self._batches[task] = batch
        task.add_done_callback(self._on_batch_done)
        self._context.metrics.in_flight.set(len(self._batches))

    def longest_handling(self) -> float:
        """Seconds since the handler got the oldest batch that it still has; 0 without one."""
        now = time.monotonic()
        return max((now - (b.handling_since or now) for b in self._batches.values()), default=0.0)

    async def drain(self, seconds: float) -> int:
        """Finish what is in flight within `seconds`; returns the number of records left undone."""
        self._stopping.set()
        if self._batches:
            await asyncio.wait(list(self._batches), timeout=seconds)
        for task in self._batches:
            task.cancel()
        if self._batches:
            await asyncio.wait(list(self._batches))
        return self._assignment.in_flight()

    def _only_pausing(self) -> bool:
        return all(batch.pausing for batch in self._batches.values())

    def _batch(self, messages: Sequence[Message], size: int) -> Batch:
        prefix = self._context.settings.kafka_topic_prefix
        records: list[Record] = []
        for message in messages:
            if (error := message.error()) is not None:
                self._on_error(error)
            elif (record := Record.from_message(message, prefix)) is not None:
                records.append(record)
        batch = Batch(self._assignment.track(records), size)
        self._context.metrics.consumed.inc(len(batch.records))
        return batch

    def _on_error(self, error: KafkaError) -> None:
        if not self._context.on_kafka_error(error):
            self._context.readiness.report("group", describe(error))

    async def _process(self, batch: Batch) -> None:
        trackers = {tracker for _, tracker in batch.tracked}

        async def wait(seconds: float) -> None:
            handling = batch.handling_since is not None
            batch.pausing, batch.handling_since = True, None
            try:
                async with asyncio.timeout(seconds):
                    await self._stopping.wait()
            except TimeoutError:
                batch.pausing, batch.handling_since = False, time.monotonic() if handling else None
            else:
                raise StoppedError

        def is_assigned(record: Record) -> bool:
            return self._assignment.tracker(record) in trackers

        def on_delivered(indices: Iterable[int]) -> None:
            done = [batch.tracked[index] for index in indices]
            self._assignment.mark_done(done)
            self._context.metrics.handled.inc(len(done))

        try:
            outcomes = await self._handler.outcomes(batch.records, wait, is_assigned)
            batch.handling_since = None  # now it waits for Kafka
            await self._delivery.deliver(batch.records, outcomes, wait, on_delivered)
        except StoppedError:
            return

    def _on_batch_done(self, task: asyncio.Task[None]) -> None:
        batch = self._batches.pop(task)
        self._backpressure.release(batch.size)
        self._context.metrics.in_flight.set(len(self._batches))
        if not task.cancelled() and (defect := task.exception()) is not None:
            self._context.on_defect(defect)
