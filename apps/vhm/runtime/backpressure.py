"""The limit on what is in flight, shared by the poll thread that fills it and the loop that empties it."""

from __future__ import annotations

import threading

MAX_BYTES = 16_000_000
"""Bytes of message values in flight from which there is no room, however few batches they are in."""


class Backpressure:
    """Slots, one for each batch in flight, and the bytes of those batches. Thread-safe."""

    def __init__(self, slots: int, max_bytes: int = MAX_BYTES) -> None:
        self._slots = slots
        self._max_bytes = max_bytes
        self._batches = 0
        self._bytes = 0
        self._closed = False
        self._changed = threading.Condition()

    def wait_for_room(self, seconds: float) -> int:
        """The number of free slots, waiting up to `seconds` for one; 0 without one and after `close`."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._free() > 0, seconds)
            return 0 if self._closed else self._free()

    def acquire(self, size: int) -> None:
        """One batch of `size` bytes is in flight from now on."""
        with self._changed:
            self._batches += 1
            self._bytes += size

    def release(self, size: int) -> None:
        """One batch of `size` bytes is no longer in flight."""
        with self._changed:
            self._batches -= 1
            self._bytes -= size
            self._changed.notify()

    def close(self) -> None:
        """Wake whoever waits; there is no room from now on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def half_empty(self) -> bool:
        """Whether paused partitions should be resumed."""
        with self._changed:
            return self._batches * 2 <= self._slots and self._bytes * 2 <= self._max_bytes

    def _free(self) -> int:
        return max(0, self._slots - self._batches) if self._bytes < self._max_bytes else 0
