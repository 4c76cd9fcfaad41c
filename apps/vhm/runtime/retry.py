"""Calling the handler until there is an outcome for every record."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from vhm.runtime.handler import Handler, Outcome, Poison, Record, Reply, UnavailableError
from vhm.runtime.log_context import log_context
from vhm.runtime.metrics import Metrics
from vhm.runtime.readiness import Readiness

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
"""Seconds before the second try, and before any."""

UNEXPECTED_TRIES = 3
"""Times a single record may make the handler fail in a way nobody foresaw before it is refused."""

Wait = Callable[[float], Awaitable[None]]
Owned = Callable[[Record], bool]


def backoff(tries: int) -> float:
    """Seconds to wait after so many tries: doubling up to a bound, up to half of it taken off at random."""
    pause: float = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(tries - 1, 10))
    return pause * random.uniform(0.5, 1.0)  # noqa: S311  spreads load, guards nothing


class RetryingHandler:
    """One worker's calls of its handler."""

    def __init__(
        self, handler: Handler, readiness: Readiness, metrics: Metrics, log: FilteringBoundLogger
    ) -> None:
        self._handler = handler
        self._readiness = readiness
        self._metrics = metrics
        self._log = log

    async def outcomes(self, records: Sequence[Record], wait: Wait, owned: Owned) -> list[Outcome]:
        """One outcome for each record, however long it takes.

        `wait` passes the seconds between tries, or raises to give up. A record that is no longer `owned`
        after a wait is somebody else's to handle and gets an empty reply."""
        outcomes: list[Outcome] = [Reply()] * len(records)
        todo = list(range(len(records)))
        tries = 0
        try:
            while todo:
                try:
                    answers = await self._handle([records[index] for index in todo])
                except UnavailableError as error:
                    self._metrics.retries.inc()
                    self._readiness.report("work", str(error), by=id(records))
                except Exception as error:
                    # a defect, not an outage; alone with it, a record may not stop those behind it for ever
                    if len(todo) > 1:
                        for index in todo:
                            outcomes[index] = (await self.outcomes([records[index]], wait, owned))[0]
                        break
                    record = records[todo[0]]
                    self._log.exception("handler failed", tries=tries + 1, **log_context(record))
                    if tries + 1 >= UNEXPECTED_TRIES:
                        text = f"{type(error).__name__}: {error}"
                        outcomes[todo[0]] = Poison(reason="handler_failed", errors=(text,))
                        break
                else:
                    for index, answer in zip(todo, answers, strict=True):
                        outcomes[index] = answer
                    break
                tries += 1
                await wait(backoff(tries))
                todo = [index for index in todo if owned(records[index])]
        finally:
            if tries:
                self._readiness.report("work", None, by=id(records))
        return outcomes

    async def _handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        started = time.monotonic()
        outcomes = await self._handler.handle(records)
        self._metrics.seconds.observe(time.monotonic() - started)
        if len(outcomes) != len(records):
            raise RuntimeError(f"the handler gave {len(outcomes)} outcomes for {len(records)} records")
        return outcomes
