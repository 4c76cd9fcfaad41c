"""structlog: JSON lines in a pod, readable ones on a terminal, both on stderr."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger, Processor


def configure(level: str, json: bool | None) -> None:
    """Set logging up for the process. `json` None: JSON unless stderr is a terminal."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if json if json is not None else not sys.stderr.isatty():
        shared += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        # tracebacks without local variables: those hold memories and secrets
        plain = structlog.dev.plain_traceback
        shared.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain))
    structlog.configure(
        processors=shared,
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    if level == "DEBUG":
        librdkafka = logging.getLogger("vhm.librdkafka")
        librdkafka.addHandler(logging.StreamHandler(sys.stderr))
        librdkafka.setLevel(logging.DEBUG)


def logger(worker: str) -> FilteringBoundLogger:
    """The worker's own logger: its name is on every line."""
    bound: FilteringBoundLogger = structlog.get_logger(worker=worker)
    return bound
