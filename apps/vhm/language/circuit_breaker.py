"""A circuit breaker: a provider that keeps failing is left alone for a while."""

from __future__ import annotations

import time
from collections.abc import Callable

FAILURES = 3
"""Failures in a row after which a provider is paused."""

FIRST_PAUSE, LONGEST_PAUSE = 30.0, 300.0
"""Seconds of the first pause, doubled each time it fails again, and of the longest."""


class Breaker:
    """Whether to ask a provider now. After a pause one call tries it, and the others wait for how it goes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._pauses = 0
        self._until = 0.0
        self._trying = False
        self._last = ""
        self._asked = False

    def allows(self) -> bool:
        """Whether a call may be made; one allowed must be followed by one of the three below."""
        if self._pauses == 0:
            return True
        if self._trying or self._clock() < self._until:
            return False
        self._trying = True
        return True

    def succeeded(self) -> None:
        """The provider answered, be it that it would not tell this: all is forgiven."""
        self._failures = self._pauses = 0
        self._trying, self._last, self._asked = False, "", True

    def failed(self, why: str, pause: float = 0.0) -> None:
        """The provider failed; `pause` is how many seconds it asked to be left alone, if it did."""
        self._failures += 1
        self._last, self._asked = why, True
        again, self._trying = self._trying, False
        if not again and self._pauses:
            return
        if pause or again or self._failures >= FAILURES:
            own = FIRST_PAUSE * 2**self._pauses if again or self._failures >= FAILURES else 0.0
            self._until = self._clock() + min(LONGEST_PAUSE, max(pause, own))
            self._pauses += 1

    def abandoned(self) -> None:
        """The call was given up before it could show anything."""
        self._trying = False

    def state(self) -> str:
        """In a person's words: is it asked, and if not, until when and why."""
        if self._pauses:
            left = max(0.0, self._until - self._clock())
            when = f"for {left:.0f} s more" if left else "until the next retelling tries it"
            return f"passed over {when}; last failure: {self._last}"
        if self._failures:
            return f"failing ({self._failures} in a row); last failure: {self._last}"
        return "in use" if self._asked else "not asked yet"
