"""What a worker says of itself on its health pages."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from vhm.contract.env_loader import shown
from vhm.runtime.handler import Handler
from vhm.runtime.health import PartitionReport, Report
from vhm.runtime.metrics import Metrics
from vhm.runtime.readiness import Readiness
from vhm.runtime.settings import WorkerSettings
from vhm.runtime.version import build

if TYPE_CHECKING:
    from vhm.runtime.consumer import WorkerConsumer

POLL_STALLED_SECONDS = 10.0
LOOP_STALLED_SECONDS = 5.0
HANDLER_STUCK_SECONDS = 300.0
"""From when the poll thread, the event loop and one call of the handler count as stuck."""


class WorkerStatus:
    """Answers `health.HealthStatus` for one worker. Liveness never depends on the broker or a store."""

    def __init__(
        self, handler: Handler, settings: WorkerSettings, readiness: Readiness, metrics: Metrics
    ) -> None:
        self._handler = handler
        self._settings = settings
        self._readiness = readiness
        self._metrics = metrics
        self._began = time.monotonic()
        self.consuming: WorkerConsumer | None = None
        self.stage: str | None = "starting"
        """Where in its life the worker is, as long as that keeps it from being ready."""
        self.beat = time.monotonic()
        """When the event loop last had time for us."""

    def started(self) -> list[str]:
        """See `HealthStatus`. The loop runs, or nobody would answer."""
        return []

    def alive(self) -> list[str]:
        """See `HealthStatus`."""
        now = time.monotonic()
        reasons: list[str] = []
        if now - self.beat > LOOP_STALLED_SECONDS:
            reasons.append(f"event loop: no time for {now - self.beat:.0f} s")
        if self.consuming is not None:
            silent = now - self.consuming.poller.beat
            stuck = self.consuming.pipeline.longest_seconds()
            if self.consuming.poller.crash is not None:
                reasons.append(f"poll thread: ended with {self.consuming.poller.crash!r}")
            elif silent > POLL_STALLED_SECONDS and self.stage != "stopping":
                reasons.append(f"poll thread: has not come round for {silent:.0f} s")
            if stuck > HANDLER_STUCK_SECONDS:
                reasons.append(f"handler: one call has taken {stuck:.0f} s so far")
        return reasons

    def ready(self) -> list[str]:
        """See `HealthStatus`."""
        stage = [f"stage: {self.stage}"] if self.stage is not None else []
        return stage + self._readiness.reasons()

    def report(self) -> Report:
        """See `HealthStatus`."""
        reasons = self.ready()
        return Report(
            ready=not reasons,
            reasons=reasons,
            worker=self._handler.name,
            build=build(),
            uptime_seconds=round(time.monotonic() - self._began, 1),
            settings=shown(self._settings),  # type: ignore[arg-type]  # a Struct, behind a Protocol
            assignment=self._assignment(),
            counters=self._metrics.totals(),
            details=list(self._handler.details()),
        )

    def metrics(self) -> bytes:
        """See `HealthStatus`."""
        self._metrics.ready.set(not self.ready())
        self._metrics.set_lag(self.consuming.partitions.lag() if self.consuming is not None else {})
        return self._metrics.render()

    def _assignment(self) -> list[PartitionReport]:
        if self.consuming is None:
            return []
        lag = self.consuming.partitions.lag()
        return [
            PartitionReport(topic=topic, partition=partition, position=at, lag=lag.get((topic, partition)))
            for (topic, partition), at in sorted(self.consuming.partitions.positions().items())
        ]
