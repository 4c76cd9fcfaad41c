"""A worker's status, as its health pages show it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from vhm.contract.env_loader import redacted
from vhm.runtime.context import WorkerContext
from vhm.runtime.health import PartitionReport, Report

if TYPE_CHECKING:
    from vhm.runtime.consumer import WorkerConsumer

POLL_STALLED_SECONDS = 10.0
LOOP_STALLED_SECONDS = 5.0
HANDLER_STUCK_SECONDS = 300.0
"""/livez fails when the poll thread or the event loop last came round, or a call of the handler began, longer
ago than this."""


class WorkerStatus:
    """The `HealthStatus` of one worker. Liveness never depends on the broker or a store."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._began = time.monotonic()
        self.consumer: WorkerConsumer | None = None
        self.stage: str | None = "starting"
        """The stage of the worker's life that keeps it from being ready; None once it consumes."""
        self.last_loop_turn = time.monotonic()
        """When the event loop last ran the worker's own timer, on the monotonic clock."""

    def started(self) -> list[str]:
        """See `HealthStatus`. Whoever gets an answer knows that the loop runs."""
        return []

    def alive(self) -> list[str]:
        """See `HealthStatus`."""
        now = time.monotonic()
        reasons: list[str] = []
        if now - self.last_loop_turn > LOOP_STALLED_SECONDS:
            reasons.append(f"event loop: stalled for {now - self.last_loop_turn:.0f} s")
        if self.consumer is not None:
            poller = self.consumer.poller
            silent = now - poller.last_turn
            handling = self.consumer.pipeline.longest_handling()
            if poller.crash is not None:
                reasons.append(f"poll thread: ended with {poller.crash!r}")
            elif silent > POLL_STALLED_SECONDS and self.stage != "stopping":
                reasons.append(f"poll thread: stalled for {silent:.0f} s")
            if handling > HANDLER_STUCK_SECONDS:
                reasons.append(f"handler: one call has taken {handling:.0f} s so far")
        return reasons

    def ready(self) -> list[str]:
        """See `HealthStatus`."""
        stage = [f"stage: {self.stage}"] if self.stage is not None else []
        return stage + self._context.readiness.reasons()

    def report(self) -> Report:
        """See `HealthStatus`."""
        context, reasons = self._context, self.ready()
        return Report(
            ready=not reasons,
            reasons=reasons,
            worker=context.handler.name,
            build=context.build,
            uptime_seconds=round(time.monotonic() - self._began, 1),
            settings=redacted(context.settings),  # type: ignore[arg-type]  # a Struct, behind a Protocol
            assignment=self._assignment(),
            counters=context.metrics.totals(),
            details=list(context.handler.details()),
        )

    def metrics(self) -> bytes:
        """See `HealthStatus`."""
        metrics = self._context.metrics
        metrics.ready.set(not self.ready())
        metrics.set_lag(self.consumer.assignment.lag() if self.consumer is not None else {})
        return metrics.render()

    def _assignment(self) -> list[PartitionReport]:
        if self.consumer is None:
            return []
        assignment = self.consumer.assignment
        lag = assignment.lag()
        return [
            PartitionReport(topic=topic, partition=number, position=at, lag=lag.get((topic, number)))
            for (topic, number), at in sorted(assignment.positions().items())
        ]
