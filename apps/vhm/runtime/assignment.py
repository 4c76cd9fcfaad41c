"""The assigned partitions, and the offset up to which each is done."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Iterable, Mapping

from vhm.runtime.context import WorkerContext
from vhm.runtime.handler import Record
from vhm.runtime.offset_committer import OffsetCommitter
from vhm.runtime.offset_tracker import OffsetTracker, Partition

TrackedRecord = tuple[Record, OffsetTracker]


class Assignment:
    """Lives on the event loop. A partition assigned again gets a new tracker, so that a record still in
    flight from before can no longer move its position."""

    def __init__(self, context: WorkerContext, committer: OffsetCommitter) -> None:
        self._log = context.log
        self._metrics = context.metrics
        self._committer = committer
        self._trackers: dict[Partition, OffsetTracker] = {}
        self.skipped = 0
        """Records that the broker dropped before they were consumed."""
        self._next: dict[Partition, int] = {}
        """The offset expected next, where known."""

    def add(self, committed: Mapping[Partition, int | None]) -> None:
        """Newly assigned partitions, with the committed offset where there is one."""
        self._trackers |= {partition: OffsetTracker(partition) for partition in committed}
        self._next |= {partition: offset for partition, offset in committed.items() if offset is not None}
        self._log.info("assigned", partitions=names(committed), owned=len(self._trackers))

    async def drain(
        self, partitions: Iterable[Partition], seconds: float, give_up: Callable[[], bool]
    ) -> None:
        """Wait until nothing of these partitions is in flight, `seconds` are over or `give_up()` holds; then
        forget them."""
        trackers = [self._trackers[p] for p in partitions if p in self._trackers]
        deadline = time.monotonic() + seconds
        while any(tracker.in_flight for tracker in trackers):
            if time.monotonic() > deadline or give_up():
                break
            await asyncio.sleep(0.005)
        left = sum(tracker.in_flight for tracker in trackers)
        self._forget(partitions)
        self._log.info("revoked", partitions=names(partitions), left_in_flight=left)

    def lose(self, partitions: Iterable[Partition]) -> None:
        """These partitions belong to another member already: store nothing of them any more."""
        self._forget(partitions)
        self._log.warning("lost", partitions=names(partitions))

    def tracker(self, record: Record) -> OffsetTracker | None:
        """The tracker of the record's partition while that is assigned."""
        return self._trackers.get((record.topic, record.partition))

    def track(self, records: Iterable[Record]) -> list[TrackedRecord]:
        """The records whose partition is assigned; they are in flight now."""
        tracked = [
            (record, tracker)
            for record in records
            if (tracker := self._trackers.get((record.topic, record.partition))) is not None
        ]
        for tracker, offsets in _by_tracker(tracked).items():
            partition = tracker.partition
            expected = self._next.get(partition, offsets[0])
            if offsets[-1] - expected >= len(offsets):
                self._check_gap(partition, expected, offsets)
            self._next[partition] = offsets[-1] + 1
            tracker.add(offsets)
        return tracked

    def mark_done(self, tracked: Iterable[TrackedRecord]) -> None:
        """Everything these led to is acknowledged: store the offsets that may be committed."""
        positions: dict[Partition, int] = {}
        for tracker, offsets in _by_tracker(tracked).items():
            moved = tracker.mark_done(offsets)
            if moved and tracker.position is not None and self._trackers.get(tracker.partition) is tracker:
                positions[tracker.partition] = tracker.position
        if positions:
            self._committer.store(positions)

    def positions(self) -> dict[Partition, int | None]:
        """The assigned partitions, each with the offset to commit next."""
        return {partition: tracker.position for partition, tracker in self._trackers.items()}

    def in_flight(self) -> int:
        """The number of records polled and not done."""
        return sum(tracker.in_flight for tracker in self._trackers.values())

    def lag(self) -> dict[Partition, int]:
        """Records not done, by partition, where the end offset is known."""
        ends = self._committer.ends
        return {
            partition: max(0, ends[partition] - self._position(partition, tracker))
            for partition, tracker in self._trackers.items()
            if partition in ends
        }

    def _position(self, partition: Partition, tracker: OffsetTracker) -> int:
        return tracker.position if tracker.position is not None else self._next.get(partition, 0)

    def _forget(self, partitions: Iterable[Partition]) -> None:
        for partition in partitions:
            self._trackers.pop(partition, None)
            self._next.pop(partition, None)

    def _check_gap(self, partition: Partition, expected: int, offsets: list[int]) -> None:
        """Offsets are missing. Compaction and transactions leave such gaps by right; where retention dropped
        records before they were consumed, the broker's first offset lies beyond the expected one."""
        following = next(offset for nth, offset in enumerate(offsets) if offset > expected + nth)
        loop = asyncio.get_running_loop()
        report = functools.partial(self._report_skipped, partition, expected, following)
        self._committer.look_up_first(partition, lambda first: _call_soon(loop, report, first))

    def _report_skipped(self, partition: Partition, expected: int, following: int, first: int) -> None:
        skipped = min(first, following) - expected
        if skipped > 0:
            self.skipped += skipped
            self._metrics.skipped.inc(skipped)
            self._log.error(
                "records were dropped by the broker before they were consumed",
                topic=partition[0],
                partition=partition[1],
                expected=expected,
                next=following,
                skipped=skipped,
            )


def names(partitions: Iterable[Partition]) -> list[str]:
    """Partitions as Kafka's tools write them: topic-0."""
    return [f"{topic}-{partition}" for topic, partition in sorted(partitions)]


def _by_tracker(tracked: Iterable[TrackedRecord]) -> dict[OffsetTracker, list[int]]:
    """The offsets of the records, grouped."""
    offsets: dict[OffsetTracker, list[int]] = {}
    for record, tracker in tracked:
        offsets.setdefault(tracker, []).append(record.offset)
    return offsets


def _call_soon(loop: asyncio.AbstractEventLoop, call: Callable[[int], None], first: int) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(call, first)
