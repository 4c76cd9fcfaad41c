"""The conditions that keep a worker from being ready; a log line when one begins and when it ends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


class _Condition(msgspec.Struct):
    reason: str
    since: float
    reporters: set[object]


class Readiness:
    """Reasons by subject ("broker", "topics", "store", ...); several may hold at once."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self._conditions: dict[str, _Condition] = {}

    def report(self, subject: str, reason: str | None, by: object = None) -> None:
        """Set the condition of `subject` for the reporter `by`, or clear it (`reason` None).

        A condition holds until every reporter that set it has cleared it. Only its beginning and its end are
        logged, however often it is reported and however its reason changes.
        """
        condition = self._conditions.get(subject)
        if reason is not None:
            if condition is None:
                self._conditions[subject] = _Condition(reason, time.monotonic(), {by})
                self._log.warning("not ready", subject=subject, reason=reason)
            else:
                condition.reason = reason
                condition.reporters.add(by)
        elif condition is not None:
            condition.reporters.discard(by)
            if not condition.reporters:
                del self._conditions[subject]
                seconds = round(time.monotonic() - condition.since, 1)
                self._log.info("recovered", subject=subject, after_seconds=seconds)

    def reasons(self) -> list[str]:
        """Every condition as `subject: reason`, the oldest first."""
        return [f"{subject}: {condition.reason}" for subject, condition in self._conditions.items()]
