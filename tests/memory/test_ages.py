"""Ages in words, there and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vhm.memory.ages import days, perceived_age, spoken

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("age", "phrase"),
    [
        (timedelta(0), "just now"),
        (timedelta(seconds=59.9), "just now"),
        (-timedelta(days=3), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(minutes=2, seconds=30), "2 minutes ago"),
        (timedelta(minutes=59, seconds=59), "59 minutes ago"),
        (timedelta(hours=1), "earlier today"),
        (timedelta(hours=12), "earlier today"),
        (timedelta(hours=12, seconds=1), "yesterday"),
        (timedelta(hours=23, minutes=59), "yesterday"),
        (timedelta(days=1), "yesterday"),
        (timedelta(days=1, hours=23), "yesterday"),
        (timedelta(days=2), "2 days ago"),
        (timedelta(days=6, hours=23), "6 days ago"),
        (timedelta(days=7), "1 week ago"),
        (timedelta(days=13), "1 week ago"),
        (timedelta(days=14), "2 weeks ago"),
        (timedelta(days=29), "4 weeks ago"),
        (timedelta(days=30), "1 month ago"),
        (timedelta(days=60), "2 months ago"),
        (timedelta(days=364), "12 months ago"),
        (timedelta(days=365), "1 year ago"),
        (timedelta(days=1_095), "3 years ago"),
    ],
)
def test_an_age_in_words(age, phrase):
    assert perceived_age(NOW - age, NOW) == phrase


def test_the_calendar_day_is_that_of_nows_offset():
    stored = datetime(2026, 4, 30, 22, 30, tzinfo=UTC)
    assert perceived_age(stored, NOW) == "yesterday"
    assert perceived_age(stored, NOW.astimezone(timezone(timedelta(hours=2)))) == "earlier today"


@given(st.timedeltas(timedelta(0), timedelta(days=60_000)))
def test_a_phrase_read_back_is_the_age_within_its_unit(age):
    read = days(perceived_age(NOW - age, NOW))
    assert read is not None
    true = age / timedelta(days=1)
    unit = 1.0 if true < 7 else 7.0 if true < 30 else 30.0 if true < 365 else 365.0
    assert abs(true - read) <= unit


@given(
    st.timedeltas(timedelta(0), timedelta(days=20_000)), st.timedeltas(timedelta(0), timedelta(days=20_000))
)
def test_phrases_read_back_keep_the_order_of_ages(one, other):
    young, old = sorted((one, other))
    read = [days(perceived_age(NOW - age, NOW)) for age in (young, old)]
    assert None not in read
    assert read[0] <= read[1]


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("last week", 7),
        ("a month ago", 30),
        ("2.5 hours ago", 2.5 / 24),
        ("2,5 hours ago", 2.5 / 24),
        ("Just now", 0),
        ("a moment ago", 0),
        ("this morning", 0.25),
        ("today", 0.25),
        ("last night", 1),
        ("the day before yesterday", 2),
        ("the other day", 3),
        ("one week ago", 7),
        ("about two weeks ago", 14),
        ("a couple of days ago", 2),
        ("a few months ago", 90),
        ("several years ago", 1_825),
        ("last year", 365),
        ("half a year ago", 182.5),
        ("a year and a half ago", 547.5),
        ("2 and a half years ago", 912.5),
        ("2 years and 3 months ago", 820),
        ("10 minutes ago", 10 / 1_440),
        ("30 seconds ago", 30 / 86_400),
        ("3d ago", 3),
        ("a year ago today", 365),
        ("earlier this week", 3),
        ("5h", 5 / 24),
        ("over a decade ago", 3_650),
        ("  A   Week\tago ", 7),
    ],
)
def test_others_phrases_are_read(phrase, expected):
    assert days(phrase) == pytest.approx(expected)


@pytest.mark.parametrize(
    "phrase", ["", "   ", "once upon a time", "some time ago", "long ago", "?", "12", "ago"]
)
def test_a_phrase_without_an_age_is_none(phrase):
    assert days(phrase) is None


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(phrase):
    read = days(phrase)
    assert read is None or 0 <= read < float("inf")


def test_an_absurd_number_is_no_age():
    assert days("9" * 400 + " years ago") is None


@pytest.mark.parametrize(
    ("phrase", "inside"),
    [
        ("just now", "a moment ago"),
        ("1 minute ago", "a minute ago"),
        ("1 hour ago", "an hour ago"),
        ("12 months ago", "twelve months ago"),
        ("16 years ago", "16 years ago"),
        ("Yesterday.", "yesterday"),
        ("last  week", "last week"),
        ("about 2 weeks ago", "about two weeks ago"),
        ("a couple of days ago", "a couple of days ago"),
        ("5h", None),
        ("long ago", None),
        ("on Monday", None),
        ("99999 years ago", None),
        ("", None),
    ],
)
def test_a_phrase_that_fits_into_a_sentence(phrase, inside):
    assert spoken(phrase) == inside


@given(st.timedeltas(timedelta(0), timedelta(days=60_000)))
def test_our_own_phrases_all_fit_into_a_sentence(age):
    assert spoken(perceived_age(NOW - age, NOW)) is not None
