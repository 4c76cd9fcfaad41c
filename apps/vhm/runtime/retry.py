"""Calling the handler until there is an outcome for every record."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Sequence

from vhm.contract.topics import dead_letter
from vhm.runtime.context import WorkerContext
from vhm.runtime.handler import Outcome, Outgoing, Poison, Record, Reply, UnavailableError
from vhm.runtime.logs import record_fields

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
"""Seconds before the second try, and before any later one."""

DEFECT_TRIES = 3
"""Times a single record may make the handler raise what it does not declare before it is poison."""

Wait = Callable[[float], Awaitable[None]]
"""Waits so many seconds, or raises to give up."""

IsAssigned = Callable[[Record], bool]
"""Whether the record's partition is still assigned as it was when the record was polled."""


def backoff(tries: int) -> float:
    """Seconds to wait after `tries` tries: doubled up to LONGEST_PAUSE, less up to half of it at random."""
    pause: float = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(tries - 1, 10))
    return pause * random.uniform(0.5, 1.0)  # noqa: S311  spreads load, guards nothing


def answers_to_failed(context: WorkerContext, record: Record, error: str) -> tuple[Outgoing, ...]:
    """`Handler.failed`, which may have the same defect; then nothing."""
    try:
        return tuple(context.handler.failed(record, error))
    except Exception:
        context.log.exception("the handler could not answer a record that failed", **record_fields(record))
        return ()


class RetryingHandler:
    """The worker's handler, with retries."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._handler = context.handler
        self._readiness = context.readiness
        self._metrics = context.metrics
        self._log = context.log

    async def outcomes(self, records: Sequence[Record], wait: Wait, is_assigned: IsAssigned) -> list[Outcome]:
        """One outcome for each record, however long it takes.

        A record whose partition is no longer assigned after a wait is another member's to handle and gets
        an empty reply. Raises what `wait` raises. stamina is no help here: the records to try change from
        one try to the next, and each wait ends with a stop.
        """
        outcomes: list[Outcome] = [Reply()] * len(records)
        pending = list(range(len(records)))
        tries = 0
        try:
            while pending:
                try:
                    answers = await self._handle([records[index] for index in pending])
                except UnavailableError as error:
                    self._metrics.retries.inc()
                    self._readiness.report("work", str(error), by=id(records))
                except Exception as error:
                    # a defect, not an outage: alone, its record does not hold up the others for ever
                    if len(pending) > 1:
                        for index in pending:
                            outcomes[index] = (await self.outcomes([records[index]], wait, is_assigned))[0]
                        break
                    record = records[pending[0]]
                    self._log.exception("handler failed", tries=tries + 1, **record_fields(record))
                    if tries + 1 >= DEFECT_TRIES:
                        outcomes[pending[0]] = self._defective(record, error)
                        break
                else:
                    for index, answer in zip(pending, answers, strict=True):
                        outcomes[index] = answer
                    break
                tries += 1
                await wait(backoff(tries))
                pending = [index for index in pending if is_assigned(records[index])]
        finally:
            if tries:
                self._readiness.report("work", None, by=id(records))
        return outcomes

    def _defective(self, record: Record, defect: Exception) -> Poison:
        """The outcome after the last try: the dead letter has the defect's text, the answer only its type."""
        kind = type(defect).__name__
        text = f"{self._handler.name} failed at this message ({kind}); it is in {dead_letter(record.topic)}"
        answers = answers_to_failed(self._context, record, text)
        return Poison(reason="handler_failed", errors=(f"{kind}: {defect}",), records=answers)

    async def _handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        started = time.monotonic()
        outcomes = await self._handler.handle(records)
        self._metrics.seconds.observe(time.monotonic() - started)
        if len(outcomes) != len(records):
            raise RuntimeError(f"the handler gave {len(outcomes)} outcomes for {len(records)} records")
        return outcomes
