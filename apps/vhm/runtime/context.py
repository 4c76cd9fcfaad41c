"""What every part of one worker needs, handed over as one object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError

from vhm.runtime.handler import Handler
from vhm.runtime.metrics import Metrics
from vhm.runtime.readiness import Readiness
from vhm.runtime.settings import WorkerSettings

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


@dataclass(frozen=True, kw_only=True)
class WorkerContext:
    """One worker's handler, settings and instruments, and where its parts report errors.

    Both callbacks run on the event loop.
    """

    handler: Handler
    settings: WorkerSettings
    build: str
    log: FilteringBoundLogger
    metrics: Metrics
    readiness: Readiness
    on_kafka_error: Callable[[KafkaError], bool]
    """Acts on an error that concerns the whole client, its topics or its connection. False: any other error,
    which is the caller's to report."""
    on_defect: Callable[[BaseException], None]
    """Ends the worker: the runtime itself failed, and a partition would stand still unnoticed."""
