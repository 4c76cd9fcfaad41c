"""Words that mean the day of speaking, told from another day."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vhm.memory.relative_dates import placed


@pytest.mark.parametrize(
    ("text", "age_days", "told"),
    [
        ("I met Tom yesterday and we talked.", 14, "I met Tom and we talked."),
        ("Yesterday I met Tom.", 14, "I met Tom."),
        ("Yesterday I met Tom.", 3, None),
        ("I ran today.", 0.2, "I ran."),
        ("This morning I ran.", 3, "I ran."),
        ("While we ran today, it rained.", 1, "While we ran, it rained."),
        ("Today was long.", 30, None),
        ("Yesterday's meeting was long.", 30, "Yesterday's meeting was long."),
        ("She moved last month.", 40, "She moved the month before."),
        ("She moved last month.", 400, "She moved."),
        ("We leave next week.", 20, "We leave the week after."),
        ("We leave next Friday.", 20, "We leave the Friday after."),
        ("I quit two years ago.", 14, "I quit two years earlier."),
        ("A couple of weeks back, we sang.", 14, "We sang."),
        ("Last autumn, in Breda, we sang.", 200, "In Breda, we sang."),
    ],
)
def test_as_it_is_told_now(text, age_days, told):
    assert placed(text, age_days) == told


pieces = st.sampled_from(
    ["yesterday,", "today", "this morning", "tonight", "last week", "next Monday", "ago", "I", "was", "of"]
)


@given(st.lists(pieces, max_size=6).map(" ".join), st.floats(0, 5_000))
def test_any_text_is_told_or_refused(text, age_days):
    told = placed(text, age_days)
    assert told is None or len(told) <= len(text) + 40
