"""What a dead letter looks like: the record as it came, and headers that say why and from where. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from vhm.contract.topics import dead_letter
from vhm.runtime.handler import Headers, Poison, Record
from vhm.runtime.producer import ProducerRecord

REASON = "vhm-reason"
ERRORS = "vhm-errors"
TOPIC = "vhm-topic"
PARTITION = "vhm-partition"
OFFSET = "vhm-offset"
TIMESTAMP = "vhm-timestamp"
BUILD = "vhm-build"

HEADERS = (REASON, ERRORS, TOPIC, PARTITION, OFFSET, TIMESTAMP, BUILD)

MAX_ERRORS = 20
MAX_ERROR_CHARACTERS = 500
"""Errors kept, and characters of one: all headers together stay below 12 kB."""


def headers(record: Record, poison: Poison, build: str) -> Headers:
    """The record's own headers, then why it was refused and where it was; those of an earlier refusal go."""
    own = tuple(pair for pair in record.headers if pair[0] not in HEADERS)
    return (
        *own,
        (REASON, poison.reason.encode()),
        (ERRORS, msgspec.json.encode(_clipped(poison.errors))),
        (TOPIC, record.topic.encode()),
        (PARTITION, str(record.partition).encode()),
        (OFFSET, str(record.offset).encode()),
        (TIMESTAMP, str(record.timestamp).encode()),
        (BUILD, build.encode()),
    )


def dead_letter_record(index: int, record: Record, poison: Poison, build: str) -> ProducerRecord:
    """The dead letter of the record that is number `index` of its batch."""
    return ProducerRecord(
        index,
        dead_letter(record.topic),
        record.key,
        record.value,
        list(headers(record, poison, build)),
        is_dead_letter=True,
    )


def _clipped(errors: Sequence[str]) -> list[str]:
    kept = [
        e if len(e) <= MAX_ERROR_CHARACTERS else e[:MAX_ERROR_CHARACTERS] + "..." for e in errors[:MAX_ERRORS]
    ]
    more = len(errors) - MAX_ERRORS
    return [*kept, f"and {more} more"] if more > 0 else kept
