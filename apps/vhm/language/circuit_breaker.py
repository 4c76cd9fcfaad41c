"""A circuit breaker: a provider that keeps failing is not called for a while."""

from __future__ import annotations

import time
from collections.abc import Callable

FAILURES = 3
"""Failures in a row that open the breaker."""

FIRST_PAUSE, LONGEST_PAUSE = 30.0, 300.0
"""Seconds of the first pause, doubled after each failed trial, and of the longest."""


class CircuitBreaker:
    """Whether to call a provider now. After a pause one call is the trial, and the others wait for it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._pauses = 0
        self._paused_until = 0.0
        self._on_trial = False
        self._last_failure = ""
        self._called = False

    def allows(self) -> bool:
        """Whether a call may be made. One allowed ends with `succeeded`, `failed` or `abandoned`."""
        if self._pauses == 0:
            return True
        if self._on_trial or self._clock() < self._paused_until:
            return False
        self._on_trial = True
        return True

    def succeeded(self) -> None:
        """The provider works, even if it declined this prompt: the breaker closes."""
        self._failures = self._pauses = 0
        self._on_trial, self._last_failure, self._called = False, "", True

    def failed(self, why: str, pause: float = 0.0) -> None:
        """The provider failed; `pause` is how many seconds it asked not to be called, 0 where it did not."""
        self._failures += 1
        self._last_failure, self._called = why, True
        trial, self._on_trial = self._on_trial, False
        if not trial and self._pauses:
            return
        if pause or trial or self._failures >= FAILURES:
            own = FIRST_PAUSE * 2**self._pauses if trial or self._failures >= FAILURES else 0.0
            self._paused_until = self._clock() + min(LONGEST_PAUSE, max(pause, own))
            self._pauses += 1

    def abandoned(self) -> None:
        """The call ended before it could show anything."""
        self._on_trial = False

    def state(self) -> str:
        """For people: whether the provider is called, and if not, until when and why."""
        if self._pauses:
            left = max(0.0, self._paused_until - self._clock())
            when = f"for {left:.0f} s more" if left else "until the next retelling tries it"
            return f"passed over {when}; last failure: {self._last_failure}"
        if self._failures:
            return f"failing ({self._failures} in a row); last failure: {self._last_failure}"
        return "in use" if self._called else "not called yet"
