"""Which offset of a partition may be committed: the one before which everything is done. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

Partition = tuple[str, int]
"""Topic and partition number."""


class OffsetTracker:
    """One assignment of one partition: the offsets in flight, in order, and which of them are done.

    Offsets may have gaps (compaction and transaction markers leave them); they never go back.
    """

    __slots__ = ("_done", "_in_flight", "partition", "position")

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self._in_flight: deque[int] = deque()
        self._done: set[int] = set()
        self.position: int | None = None
        """The offset to commit: one past the contiguous done prefix; None while that is empty."""

    def add(self, offsets: Iterable[int]) -> None:
        """These have been polled, in this order, and are in flight now."""
        self._in_flight.extend(offsets)

    def mark_done(self, offsets: Iterable[int]) -> bool:
        """Everything these led to is acknowledged. True when `position` has moved."""
        self._done.update(offsets)
        in_flight, done, before = self._in_flight, self._done, self.position
        while in_flight and in_flight[0] in done:
            offset = in_flight.popleft()
            done.discard(offset)
            self.position = offset + 1
        return self.position != before

    @property
    def in_flight(self) -> int:
        """The number of records polled and not done."""
        return len(self._in_flight) - len(self._done)
