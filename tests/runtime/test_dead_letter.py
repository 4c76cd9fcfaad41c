"""Dead letters: what they say, and that a large one survives being kept in parts."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from vhm.runtime.dead_letters import envelope
from vhm.runtime.handler import Poison, Record
from vhm.runtime.producer import ProducerRecord


def record(value: bytes | None = b"v", headers: tuple[tuple[str, bytes], ...] = ()) -> Record:
    return Record(topic="t", partition=1, offset=7, timestamp=9, value=value, key=b"k", headers=headers)


def refuse(value: bytes | None = b"v", *errors: str) -> ProducerRecord:
    return envelope.sending(0, record(value), Poison(reason="r", errors=errors), "b1")


@given(st.binary(min_size=1, max_size=300), st.data())
def test_parts_join_to_what_was_divided(value: bytes, data: st.DataObject) -> None:
    pieces = [refuse(value)]
    for _ in range(data.draw(st.integers(0, 20))):
        nth = data.draw(st.integers(0, len(pieces) - 1))
        pieces[nth : nth + 1] = envelope.halves(pieces[nth]) or [pieces[nth]]
    parts = [(envelope.part(p.headers), p.value or b"") for p in pieces]
    shuffled = data.draw(st.permutations(parts + parts[:1]))
    assert envelope.joined(shuffled) == value
    if len(parts) > 1:
        missing = data.draw(st.integers(0, len(parts) - 1))
        assert envelope.joined(parts[:missing] + parts[missing + 1 :]) is None


def test_a_byte_cannot_be_divided() -> None:
    assert envelope.halves(refuse(b"x")) == []
    assert envelope.halves(refuse(None)) == []


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
