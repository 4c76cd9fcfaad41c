"""What a dead letter looks like: the record as it came, and headers that say why and from where.

A record that does not fit with the headers, or is too large for the dead-letter topic, is kept in parts.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
PART = "vhm-part"
"""`2/3`: the second of three parts of the value; absent when the value is whole."""

OURS = (REASON, ERRORS, TOPIC, PARTITION, OFFSET, TIMESTAMP, BUILD, PART)

MAX_ERRORS = 20
MAX_ERROR = 500
"""Errors kept, and characters of each: the list must never be what makes a record too large."""


def headers(record: Record, poison: Poison, build: str) -> Headers:
    """The headers of a dead letter: the record's own, then why it was refused and where it came from."""
    own = tuple(pair for pair in record.headers if pair[0] not in OURS)
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


def sending(index: int, record: Record, poison: Poison, build: str) -> ProducerRecord:
    """The dead letter of one record, ready to be produced."""
    return ProducerRecord(
        index,
        dead_letter(record.topic),
        record.key,
        record.value,
        list(headers(record, poison, build)),
        is_dead_letter=True,
    )


def halves(whole: ProducerRecord) -> list[ProducerRecord]:
    """One that was too large, in two; empty when it is too small to be divided further.

    Parts are numbered so that halving again keeps their order: part 2/4 becomes 3/8 and 4/8."""
    value = whole.value or b""
    if len(value) < 2:
        return []
    number, count = part(whole.headers)
    rest = [pair for pair in whole.headers if pair[0] != PART]
    middle = len(value) // 2
    return [
        msgspec.structs.replace(
            whole, value=piece, headers=[*rest, (PART, f"{2 * number - 1 + nth}/{2 * count}".encode())]
        )
        for nth, piece in enumerate((value[:middle], value[middle:]))
    ]


def part(pairs: Iterable[tuple[str, str | bytes | None]]) -> tuple[int, int]:
    """Which part of how many; (1, 1) for a whole one."""
    raw = next((value for name, value in pairs if name == PART), None) or b"1/1"
    number, _, count = (raw if isinstance(raw, str) else raw.decode()).partition("/")
    return int(number), int(count)


def joined(parts: Sequence[tuple[tuple[int, int], bytes]]) -> bytes | None:
    """The value from its parts ((number, count), bytes), whatever their sizes; None while one is missing."""
    reached, value = 0.0, b""
    for (number, count), piece in sorted(set(parts), key=lambda p: p[0][0] / p[0][1]):
        if number / count <= reached:
            continue  # the same part again
        if (number - 1) / count > reached:
            return None
        reached, value = number / count, value + piece
    return value if reached == 1.0 else None


def _clipped(errors: Sequence[str]) -> list[str]:
    kept = [e if len(e) <= MAX_ERROR else e[:MAX_ERROR] + "..." for e in errors[:MAX_ERRORS]]
    more = len(errors) - MAX_ERRORS
    return [*kept, f"and {more} more"] if more > 0 else kept
