"""Rate limits: a token bucket for each caller, refilled continuously."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

MOST_CALLERS = 10_000
"""Callers that are remembered; the one not heard of for longest is forgotten first."""


class RateLimit:
    """At most `per_minute` of something for each caller, in bursts of as many."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._capacity = float(per_minute)
        self._per_second = per_minute / 60
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str, count: int = 1) -> float:
        """Take `count` tokens; 0 when they were there, else the seconds until they are. A count above the
        size of the bucket empties it and is not refused for ever."""
        count = min(count, int(self._capacity))
        tokens = self._tokens(caller)
        if tokens < count:
            return (count - tokens) / self._per_second
        self._store(caller, tokens - count)
        return 0.0

    def exhausted(self, caller: str) -> float:
        """Seconds until the caller has one left; 0 when it has."""
        return max(0.0, (1 - self._tokens(caller)) / self._per_second)

    def _tokens(self, caller: str) -> float:
        tokens, at = self._buckets.get(caller, (self._capacity, self._clock()))
        return min(self._capacity, tokens + (self._clock() - at) * self._per_second)

    def _store(self, caller: str, tokens: float) -> None:
        self._buckets[caller] = (tokens, self._clock())
        self._buckets.move_to_end(caller)
        if len(self._buckets) > MOST_CALLERS:
            self._buckets.popitem(last=False)
