"""How much may be in flight at once, shared by the poll thread that fills it and the loop that empties it."""

from __future__ import annotations

import threading

MAX_BYTES = 16_000_000
"""Bytes of message values in flight from which the window counts as full."""


class Backpressure:
    """Slots, one for each call of the handler in flight, and the bytes in them. Thread-safe."""

    def __init__(self, slots: int, max_bytes: int = MAX_BYTES) -> None:
        self._slots = slots
        self._max_bytes = max_bytes
        self._used = 0
        self._bytes = 0
        self._closed = False
        self._changed = threading.Condition()

    def wait_for_room(self, seconds: float) -> int:
        """The free slots, waiting up to `seconds` for one; 0 when there is none, or after `close`."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._free() > 0, seconds)
            return 0 if self._closed else self._free()

    def take(self, slots: int, size: int) -> None:
        """`slots` calls with `size` bytes in all are in flight from now on."""
        with self._changed:
            self._used += slots
            self._bytes += size

    def release(self, size: int) -> None:
        """One call with `size` bytes has ended."""
        with self._changed:
            self._used -= 1
            self._bytes -= size
            self._changed.notify()

    def close(self) -> None:
        """Let go of whoever waits; there is no room from now on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def half_empty(self) -> bool:
        """Whether it is worth resuming after a pause."""
        with self._changed:
            return self._used * 2 <= self._slots and self._bytes * 2 <= self._max_bytes

    @property
    def used(self) -> int:
        """Calls in flight."""
        return self._used

    def _free(self) -> int:
        return max(0, self._slots - self._used) if self._bytes < self._max_bytes else 0
