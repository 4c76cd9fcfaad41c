"""On the event loop: records → handler → Kafka → tracker → stored offsets, several batches at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from confluent_kafka import KafkaError, Message

from vhm.runtime import record
from vhm.runtime.assignment import Assignment
from vhm.runtime.backpressure import Backpressure
from vhm.runtime.delivery import Delivery
from vhm.runtime.handler import Record
from vhm.runtime.metrics import Metrics
from vhm.runtime.offset_committer import Partition
from vhm.runtime.offset_tracker import OffsetTracker
from vhm.runtime.readiness import Readiness
from vhm.runtime.retry import RetryingHandler


class StoppedError(Exception):
    """A stop began while a batch waited to be tried again; the next worker gets it."""


class Batch:
    """Records of one call of the handler, each with the tracker that waits for it."""

    def __init__(self, size: int) -> None:
        self.records: list[Record] = []
        self.trackers: list[OffsetTracker] = []
        self.size = size
        self.pausing = False
        """Between two tries; nothing happens until the pause is over."""
        self.since: float | None = time.monotonic()
        """Since when the handler has been at it; None while it is not its turn."""


class Pipeline:
    """Everything that happens to a record between being polled and being committed."""

    def __init__(
        self,
        *,
        batch: int,
        partitions: Assignment,
        attempts: RetryingHandler,
        delivery: Delivery,
        window: Backpressure,
        readiness: Readiness,
        metrics: Metrics,
        on_error: Callable[[KafkaError], None],
        on_defect: Callable[[BaseException], None],
    ) -> None:
        self._most = batch
        self._partitions = partitions
        self._attempts = attempts
        self._delivery = delivery
        self._window = window
        self._readiness = readiness
        self._metrics = metrics
        self._on_error = on_error
        self._on_defect = on_defect
        self._batches: dict[asyncio.Task[None], Batch] = {}
        self._stopping = asyncio.Event()

    def assigned(self, committed: Mapping[Partition, int | None]) -> None:
        """See `Sink`."""
        self._readiness.report("group", None)
        self._partitions.assigned(committed)

    async def release(self, partitions: Iterable[Partition], seconds: float) -> None:
        """See `Sink`."""
        await self._partitions.release(partitions, seconds, self._hopeless)

    def lost(self, partitions: Iterable[Partition]) -> None:
        """See `Sink`."""
        self._partitions.lost(partitions)

    def accept(self, messages: Sequence[Message]) -> None:
        """See `Sink`."""
        self._readiness.report("group", None)
        loop = asyncio.get_running_loop()
        for start in range(0, len(messages), self._most):
            batch = self._batch(messages[start : start + self._most])
            task = loop.create_task(self._work(batch))
            self._batches[task] = batch
            task.add_done_callback(self._ended)
        self._metrics.in_flight.set(len(self._batches))

    def longest_seconds(self) -> float:
        """How long the batch that takes longest has been at it without an answer from the handler."""
        now = time.monotonic()
        return max((now - (b.since or now) for b in self._batches.values()), default=0.0)

    async def drain(self, seconds: float) -> int:
        """Finish what is in flight within `seconds`; returns how many records are left undone."""
        self._stopping.set()
        if self._batches:
            await asyncio.wait(list(self._batches), timeout=seconds)
        for task in self._batches:
            task.cancel()
        if self._batches:
            await asyncio.wait(list(self._batches))
        return self._partitions.in_flight()

    def _hopeless(self) -> bool:
        return all(batch.pausing for batch in self._batches.values())

    def _batch(self, messages: Sequence[Message]) -> Batch:
        batch = Batch(sum(map(len, messages)))
        for message in messages:
            record = self._record(message)
            # none: an error, or a partition that was taken from us after the poll
            if record is not None and (tracker := self._partitions.tracker(record)) is not None:
                batch.records.append(record)
                batch.trackers.append(tracker)
        self._partitions.take(batch.records)
        self._metrics.consumed.inc(len(batch.records))
        return batch

    def _record(self, message: Message) -> Record | None:
        if (error := message.error()) is not None:
            self._on_error(error)
            return None
        return record.record(message)

    async def _work(self, batch: Batch) -> None:
        async def wait(seconds: float) -> None:
            handling = batch.since is not None
            batch.pausing, batch.since = True, None
            try:
                async with asyncio.timeout(seconds):
                    await self._stopping.wait()
            except TimeoutError:
                batch.pausing, batch.since = False, time.monotonic() if handling else None
            else:
                raise StoppedError

        def owned(record: Record) -> bool:
            return self._partitions.tracker(record) in set(batch.trackers)

        def done(indices: Iterable[int]) -> None:
            finished = [(batch.records[index], batch.trackers[index]) for index in indices]
            self._partitions.done(finished)
            self._metrics.handled.inc(len(finished))

        try:
            outcomes = await self._attempts.outcomes(batch.records, wait, owned)
            batch.since = None  # from here on Kafka's turn
            await self._delivery.deliver(batch.records, outcomes, wait, done)
        except StoppedError:
            return

    def _ended(self, task: asyncio.Task[None]) -> None:
        batch = self._batches.pop(task)
        self._window.release(batch.size)
        self._metrics.in_flight.set(len(self._batches))
        if not task.cancelled() and (defect := task.exception()) is not None:
            self._on_defect(defect)
