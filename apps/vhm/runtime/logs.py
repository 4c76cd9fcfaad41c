"""structlog: JSON lines in a pod, readable ones on a terminal, both on stderr."""

from __future__ import annotations

import functools
import logging
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from vhm.contract.topics import TOPICS
from vhm.runtime.handler import Record

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger, Processor

ID_CHARACTERS = 64
"""Characters logged of an id that another program chose."""

_ID_FIELDS = {topic.name: topic.key for topic in TOPICS}


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
    """The worker's logger: its name is on every line."""
    bound: FilteringBoundLogger = structlog.get_logger(worker=worker)
    return bound


def record_fields(record: Record) -> dict[str, Any]:
    """A record as fields of a log line: topic, partition, offset, and `anchor_id` or `request_id`.

    The id is read from the value, else from the key, and left out where neither holds one.
    """
    position = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
    field = _ID_FIELDS.get(record.logical_topic)
    id = field and (_id_in_value(field, record.value) or _id_in_key(record.key))
    return {field: id, **position} if field and id else position


def _id_in_value(field: str, value: bytes | None) -> str | None:
    try:
        id = getattr(_id_decoder(field).decode(value or b""), field)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return id[:ID_CHARACTERS] if isinstance(id, str) else None


@functools.cache
def _id_decoder(field: str) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(msgspec.defstruct("Identified", [(field, str | None, None)]))


def _id_in_key(key: bytes | None) -> str | None:
    if not key:
        return None
    text = key.decode("utf-8", "replace")[:ID_CHARACTERS]
    return text if text.isprintable() else None
