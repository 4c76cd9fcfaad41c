"""The headers between resonance and reteller."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vhm.contract.retell_headers import MAX_QUERY_BYTES, Asked, decode, encode

NOW = datetime(2026, 11, 28, 20, tzinfo=UTC)


@given(st.text(max_size=300), st.none() | st.just(NOW), st.booleans())
def test_what_was_asked_comes_out_again(question: str, now: datetime | None, empty: bool) -> None:
    assert decode(encode(Asked(question, now, empty))) == Asked(question, now, empty)


@given(st.text(min_size=900, max_size=4_000))
def test_a_long_question_is_cut_between_two_characters(question: str) -> None:
    headers = dict(encode(Asked(question)))
    assert len(headers["vhm-query"]) <= MAX_QUERY_BYTES
    assert question.startswith(decode(headers.items()).question)


@pytest.mark.parametrize("junk", [b"", b"soon", b"\xff", b"0001-01-01", b"9" * 50])
def test_a_header_that_cannot_be_read_counts_as_absent(junk: bytes) -> None:
    assert decode([("vhm-now", junk), ("vhm-memories", junk), ("other", None)]) == Asked()
