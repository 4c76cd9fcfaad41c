"""The pauses between tries."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vhm.runtime.retry import LONGEST_PAUSE, backoff


@given(st.integers(1, 10_000))
def test_a_pause_is_short_at_first_and_never_long(tries: int) -> None:
    assert 0.04 < backoff(tries) <= LONGEST_PAUSE
    assert backoff(1) <= 0.1
