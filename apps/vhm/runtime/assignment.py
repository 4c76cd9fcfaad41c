"""The partitions that are ours, and how far each is done."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from vhm.runtime.handler import Record
from vhm.runtime.metrics import Metrics
from vhm.runtime.offset_committer import OffsetCommitter, Partition
from vhm.runtime.offset_tracker import OffsetTracker

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


class Assignment:
    """Lives on the event loop. A partition that comes back after it was let go starts a new tracker, so
    that what was in flight before it went can no longer move it."""

    def __init__(self, offsets: OffsetCommitter, metrics: Metrics, log: FilteringBoundLogger) -> None:
        self._offsets = offsets
        self._metrics = metrics
        self._log = log
        self._trackers: dict[Partition, OffsetTracker] = {}
        self._next: dict[Partition, int] = {}

    def assigned(self, committed: Mapping[Partition, int | None]) -> None:
        """New ones, with the committed offset where there is one."""
        self._trackers |= {partition: OffsetTracker() for partition in committed}
        self._next |= {partition: offset for partition, offset in committed.items() if offset is not None}
        self._log.info("assigned", partitions=named(committed), owned=len(self._trackers))

    async def release(
        self, partitions: Iterable[Partition], seconds: float, hopeless: Callable[[], bool]
    ) -> None:
        """Wait up to `seconds`, or until that is `hopeless`, for what is in flight; then forget these."""
        trackers = [self._trackers[p] for p in partitions if p in self._trackers]
        deadline = time.monotonic() + seconds
        while any(tracker.in_flight for tracker in trackers):
            if time.monotonic() > deadline or hopeless():
                break
            await asyncio.sleep(0.005)
        left = sum(tracker.in_flight for tracker in trackers)
        self._forget(partitions)
        self._log.info("revoked", partitions=named(partitions), left_in_flight=left)

    def lost(self, partitions: Iterable[Partition]) -> None:
        """They are somebody else's already: nothing of them may be stored any more."""
        self._forget(partitions)
        self._log.warning("lost", partitions=named(partitions))

    def tracker(self, record: Record) -> OffsetTracker | None:
        """The tracker of the record's partition while that is ours."""
        return self._trackers.get((record.topic, record.partition))

    def take(self, records: Iterable[Record]) -> None:
        """These are in flight now."""
        taken: dict[Partition, list[int]] = {}
        for record in records:
            taken.setdefault((record.topic, record.partition), []).append(record.offset)
        for partition, offsets in taken.items():
            expected = self._next.get(partition, offsets[0])
            if offsets[-1] - expected >= len(offsets):
                self._look_into_gap(partition, expected, offsets)
            self._next[partition] = offsets[-1] + 1
            self._trackers[partition].take(offsets)

    def done(self, records: Iterable[tuple[Record, OffsetTracker]]) -> None:
        """Everything these led to is acknowledged: store what may be committed."""
        finished: dict[Partition, tuple[OffsetTracker, list[int]]] = {}
        for record, tracker in records:
            finished.setdefault((record.topic, record.partition), (tracker, []))[1].append(record.offset)
        positions = {
            partition: tracker.position
            for partition, (tracker, offsets) in finished.items()
            if tracker.done(offsets)
            and tracker.position is not None
            and self._trackers.get(partition) is tracker
        }
        if positions:
            self._offsets.store(positions)

    def positions(self) -> dict[Partition, int | None]:
        """Ours, and how far each is done."""
        return {partition: tracker.position for partition, tracker in self._trackers.items()}

    def in_flight(self) -> int:
        """Records taken and not done."""
        return sum(tracker.in_flight for tracker in self._trackers.values())

    def lag(self) -> dict[Partition, int]:
        """Records of ours that are not done, as far as librdkafka has heard of them."""
        ends = self._offsets.ends
        return {
            partition: max(0, ends[partition] - self._at(partition, tracker))
            for partition, tracker in self._trackers.items()
            if partition in ends
        }

    def _at(self, partition: Partition, tracker: OffsetTracker) -> int:
        return tracker.position if tracker.position is not None else self._next.get(partition, 0)

    def _forget(self, partitions: Iterable[Partition]) -> None:
        for partition in partitions:
            self._trackers.pop(partition, None)
            self._next.pop(partition, None)

    def _look_into_gap(self, partition: Partition, expected: int, offsets: list[int]) -> None:
        """Some offsets did not come. Compaction and transactions leave such gaps by right; records dropped
        before we came to them do not, and they are told by the broker's first offset lying behind."""
        following = next(offset for nth, offset in enumerate(offsets) if offset > expected + nth)
        loop = asyncio.get_running_loop()
        tell = functools.partial(self._report_skipped, partition, expected, following)
        self._offsets.look_up(partition, lambda first: _soon(loop, functools.partial(tell, first)))

    def _report_skipped(self, partition: Partition, expected: int, following: int, first: int) -> None:
        skipped = min(first, following) - expected
        if skipped > 0:
            self._metrics.skipped.inc(skipped)
            self._log.error(
                "records were dropped by the broker before they were consumed",
                topic=partition[0],
                partition=partition[1],
                expected=expected,
                next=following,
                skipped=skipped,
            )


def named(partitions: Iterable[Partition]) -> list[str]:
    """Assignment as Kafka people write them: topic-0."""
    return [f"{topic}-{partition}" for topic, partition in sorted(partitions)]


def _soon(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(call)
