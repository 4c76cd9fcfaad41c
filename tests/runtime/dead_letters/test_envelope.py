"""The headers of a dead letter."""

from __future__ import annotations

import json

from vhm.runtime.dead_letters import envelope
from vhm.runtime.handler import Poison, Record
from vhm.runtime.producer import ProducerRecord


def record(value: bytes | None = b"v", headers: tuple[tuple[str, bytes], ...] = ()) -> Record:
    return Record(topic="t", partition=1, offset=7, timestamp=9, value=value, key=b"k", headers=headers)


def refuse(value: bytes | None = b"v", *errors: str) -> ProducerRecord:
    return envelope.dead_letter_record(0, record(value), Poison(reason="r", errors=errors), "b1")


def test_a_dead_letter_of_a_replayed_record_tells_the_latest_refusal_only() -> None:
    old = (("vhm-reason", b"old"), ("mine", b"1"), ("vhm-offset", b"3"))
    headers = envelope.headers(record(headers=old), Poison(reason="new"), "b1")
    assert [value for name, value in headers if name == "vhm-reason"] == [b"new"]
    assert [value for name, value in headers if name == "vhm-offset"] == [b"7"]
    assert ("mine", b"1") in headers


def test_a_long_list_of_errors_does_not_make_the_letter_large() -> None:
    letter = refuse(b"v", *(f"{n}: {'x' * 5_000}" for n in range(1_000)))
    errors = json.loads(dict(letter.headers)["vhm-errors"] or b"")
    assert len(errors) == 21
    assert errors[-1] == "and 980 more"
    assert sum(len(str(value)) for _, value in letter.headers) < 12_000
