"""Which offset of a partition may be committed: everything before it is done. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable


class OffsetTracker:
    """One assignment of one partition: offsets taken, in order, and those of them that are done.

    OffsetCommitter may have gaps (compaction and transaction markers leave them); they never go back.
    """

    __slots__ = ("_done", "_taken", "position")

    def __init__(self) -> None:
        self._taken: deque[int] = deque()
        self._done: set[int] = set()
        self.position: int | None = None
        """The offset to commit: one past the last of the done prefix; None before the first."""

    def take(self, offsets: Iterable[int]) -> None:
        """These have been polled, in this order, and are in flight now."""
        self._taken.extend(offsets)

    def done(self, offsets: Iterable[int]) -> bool:
        """Everything these led to is acknowledged. True when `position` has moved."""
        self._done.update(offsets)
        taken, done, before = self._taken, self._done, self.position
        while taken and taken[0] in done:
            offset = taken.popleft()
            done.discard(offset)
            self.position = offset + 1
        return self.position != before

    @property
    def in_flight(self) -> int:
        """Records taken and not done."""
        return len(self._taken) - len(self._done)
