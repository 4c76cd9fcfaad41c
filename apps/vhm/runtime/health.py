"""The health pages of a worker: /startupz /livez /readyz /health /metrics.

They are served on the worker's own event loop, so that a stalled loop fails its own liveness probe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from litestar import Litestar


class PartitionReport(msgspec.Struct, frozen=True, kw_only=True):
    """One assigned partition: offset to be committed next and records behind the end, where known."""

    topic: str
    partition: int
    position: int | None
    lag: int | None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The body of /health. `settings` are by variable name, secrets left out."""

    ready: bool
    reasons: list[str]
    worker: str = ""
    build: str = ""
    uptime_seconds: float = 0.0
    settings: dict[str, Any] = {}
    assignment: list[PartitionReport] = []
    counters: dict[str, float] = {}
    details: list[str] = []
    """The worker's own lines."""


class ProbeResult(msgspec.Struct, frozen=True):
    """The answer of a probe: ok, or why not."""

    ok: bool
    reasons: list[str]


class HealthStatus(Protocol):
    """What the pages ask of a worker. Every method answers at once."""

    def started(self) -> list[str]:
        """Why it has not started; empty when it has."""
        ...

    def alive(self) -> list[str]:
        """Why the kubelet should kill it; empty when it should not."""
        ...

    def ready(self) -> list[str]:
        """Why it cannot work; empty when it can."""
        ...

    def report(self) -> Report:
        """What /health answers."""
        ...

    def metrics(self) -> bytes:
        """What /metrics answers: Prometheus' text format."""
        ...


class NoWorker:
    """The status of an app without a worker, as the manifest check makes one."""

    def started(self) -> list[str]:
        """See `HealthStatus`."""
        return ["no worker"]

    alive = ready = started

    def report(self) -> Report:
        """See `HealthStatus`."""
        return Report(ready=False, reasons=["no worker"])

    def metrics(self) -> bytes:
        """See `HealthStatus`."""
        return b""


def create_app(status: HealthStatus | None = None) -> Litestar:
    """The app with its five routes. Without `status` it is only good for listing them."""
    from litestar import Litestar, Response, get  # 0.2 s to import: only serving the pages costs it

    from vhm.runtime.metrics import CONTENT_TYPE

    worker: HealthStatus = status if status is not None else NoWorker()

    def probe(reasons: list[str]) -> Response[ProbeResult]:
        return Response(ProbeResult(not reasons, reasons), status_code=503 if reasons else 200)

    @get("/startupz")
    async def startupz() -> Response[ProbeResult]:
        return probe(worker.started())

    @get("/livez")
    async def livez() -> Response[ProbeResult]:
        return probe(worker.alive())

    @get("/readyz")
    async def readyz() -> Response[ProbeResult]:
        return probe(worker.ready())

    @get("/health")
    async def health() -> Response[Report]:
        report = worker.report()
        return Response(report, status_code=200 if report.ready else 503)

    @get("/metrics")
    async def metrics() -> Response[bytes]:
        return Response(worker.metrics(), media_type=CONTENT_TYPE)

    return Litestar(
        [startupz, livez, readyz, health, metrics],
        openapi_config=None,
        logging_config=None,
        signature_types=[Response],
    )
