"""Time words in questions, resolved against the moment of asking."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vhm.memory.time_expressions import asks_when, date_words, named_period, tells_time
from vhm.memory.tokenizer import words

NOW = datetime(2026, 11, 24, 15, tzinfo=UTC)  # a Tuesday


def day(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("question", "start", "end"),
    [
        ("What did she find on 1 February, 2023?", "2023-02-01", "2023-02-02"),
        ("Who came on May 3rd, 2023?", "2023-05-03", "2023-05-04"),
        ("What was on 2023-05-03?", "2023-05-03", "2023-05-04"),
        ("What setback did she face in October 2023?", "2023-10-01", "2023-11-01"),
        ("What happened in December 2023?", "2023-12-01", "2024-01-01"),
        ("Where did he live in 2022?", "2022-01-01", "2023-01-01"),
        ("What did I do today?", "2026-11-24", "2026-11-25"),
        ("What did I eat yesterday?", "2026-11-23", "2026-11-24"),
        ("What did I do last week?", "2026-11-16", "2026-11-23"),
        ("What did I do this week?", "2026-11-23", "2026-11-30"),
        ("Where was I last weekend?", "2026-11-21", "2026-11-23"),
        ("What happened last Tuesday?", "2026-11-17", "2026-11-18"),
        ("What happened last month?", "2026-10-01", "2026-11-01"),
        ("What happened last year?", "2025-01-01", "2026-01-01"),
    ],
)
def test_what_time_a_question_means(question, start, end):
    period = named_period(question, NOW)
    assert period is not None
    assert (period.start, period.end) == (day(start), day(end))


def test_so_long_ago_and_within_the_past_are_counted_from_now():
    ago = named_period("What did I do two months ago?", NOW)
    assert ago is not None
    assert ago.start < NOW - timedelta(days=60) < ago.end
    past = named_period("What have I done in the past 3 weeks?", NOW)
    assert past is not None
    assert (past.start, past.end) == (NOW - timedelta(days=21), NOW)


@pytest.mark.parametrize(
    "question",
    ["Where does Anna work?", "", "on 31 February 2023", "in 0000 BC", "May I come in?", "9999999 years ago"],
)
def test_no_time_is_none(question):
    assert named_period(question, NOW) is None


@given(
    st.text(max_size=80)
    | st.from_regex(r"(in|on|last|\d{1,5}) (may|31|year|months ago) \d{1,5}", fullmatch=True)
)
def test_any_question_is_read(question):
    period = named_period(question, NOW)
    assert period is None or period.start <= period.end


def test_who_asks_when_and_who_tells():
    assert asks_when("When did Ann go?")
    assert asks_when("How long has Ann been here?")
    assert not asks_when("What did Ann say when she came?")
    assert tells_time(words("Ann: I went there last weekend."))
    assert tells_time(words("Ann: In 2022!"))
    assert not tells_time(words("Ann: I like soup."))
    assert date_words(NOW) == ("november", "24", "2026")
