"""What keeps a worker from being ready, and one log line when that changes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


class _Condition(msgspec.Struct):
    reason: str
    since: float
    holders: set[object]


class Readiness:
    """Reasons by subject ("broker", "topics", "store", ...); several may hold at once."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self._readiness: dict[str, _Condition] = {}

    def report(self, subject: str, reason: str | None, by: object = None) -> None:
        """`subject` is in the way because of `reason`, or no longer is (None), as far as `by` can tell.

        It stays in the way until everybody who said so has taken it back. Only that it begins and that
        it ends is logged, however often it is said and however its reason changes."""
        condition = self._readiness.get(subject)
        if reason is not None:
            if condition is None:
                self._readiness[subject] = _Condition(reason, time.monotonic(), {by})
                self._log.warning("not ready", subject=subject, reason=reason)
            else:
                condition.reason = reason
                condition.holders.add(by)
        elif condition is not None:
            condition.holders.discard(by)
            if not condition.holders:
                del self._readiness[subject]
                seconds = round(time.monotonic() - condition.since, 1)
                self._log.info("recovered", subject=subject, after_seconds=seconds)

    def reasons(self) -> list[str]:
        """Every reason, `subject: reason`, in the order they came."""
        return [f"{subject}: {condition.reason}" for subject, condition in self._readiness.items()]
