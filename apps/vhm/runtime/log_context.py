"""Which message a record is, for log lines: its id where it can be read, and always its place."""

from __future__ import annotations

import functools
from typing import Any

import msgspec

from vhm.contract.topics import TOPICS
from vhm.runtime.handler import Record

_KEYS = {topic.name: topic.key for topic in TOPICS}
_LONGEST = 64


def log_context(record: Record) -> dict[str, Any]:
    """Fields for a log line: topic, partition, offset, and `anchor_id` or `request_id` if there is one."""
    place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
    name = _KEYS.get(record.topic)
    found = name and (_from_value(name, record.value) or _text(record.key))
    return {name: found, **place} if name and found else place


def _from_value(name: str, value: bytes | None) -> str | None:
    try:
        found = getattr(_decoder(name).decode(value or b""), name)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return found[:_LONGEST] if isinstance(found, str) else None


@functools.cache
def _decoder(name: str) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(msgspec.defstruct("Identified", [(name, str | None, None)]))


def _text(key: bytes | None) -> str | None:
    if not key:
        return None
    text = key.decode("utf-8", "replace")[:_LONGEST]
    return text if text.isprintable() else None
