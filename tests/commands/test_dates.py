"""Moments as people type them: understood whole, or refused."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vhm.commands.dates import moment, shown
from vhm.errors import UserError


@pytest.fixture
def brussels(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Brussels")
        time.tzset()
        yield
    time.tzset()


def test_a_full_date_is_taken_as_it_is() -> None:
    assert moment("2026-05-01T09:00:00+02:00", "--at") == datetime(2026, 5, 1, 7, tzinfo=UTC)
    assert moment("2026-05-01T09:00Z", "--at") == datetime(2026, 5, 1, 9, tzinfo=UTC)


@pytest.mark.usefixtures("brussels")
def test_a_date_without_an_offset_is_of_this_machine() -> None:
    assert moment("2026-05-01T09:00", "--at") == datetime(2026, 5, 1, 7, tzinfo=UTC)
    assert moment("2026-12-01 09:00", "--at") == datetime(2026, 12, 1, 8, tzinfo=UTC)
    assert moment("2026-05-01", "--at") == datetime(2026, 4, 30, 22, tzinfo=UTC)
    assert moment("1 May 2026 at 9:00", "--at") == datetime(2026, 5, 1, 7, tzinfo=UTC)
    assert shown(datetime(2026, 5, 1, 7, tzinfo=UTC)) == "2026-05-01 09:00+02:00"


NOW = datetime(2026, 11, 28, 20, 37)


@pytest.mark.parametrize(
    ("typed", "means"),
    [
        ("in 3 days", datetime(2026, 12, 1, 20, 37)),
        ("3 days from now", datetime(2026, 12, 1, 20, 37)),
        ("3 days ago", datetime(2026, 11, 25, 20, 37)),
        ("3 days ago at 9:00", datetime(2026, 11, 25, 9)),
        ("3 days ago at 9", datetime(2026, 11, 25, 9)),
        ("yesterday 14:30", datetime(2026, 11, 27, 14, 30)),
        ("the day before yesterday", datetime(2026, 11, 26, 20, 37)),
        ("last week", datetime(2026, 11, 21, 20, 37)),
        ("last Tuesday", datetime(2026, 11, 24)),
        ("next Friday", datetime(2026, 12, 4)),
        ("last year", datetime(2025, 11, 28, 20, 37)),
        ("2.5 hours ago", datetime(2026, 11, 28, 18, 7)),
        ("1 Nov 2026", datetime(2026, 11, 1)),
        ("Nov 1st, 2026", datetime(2026, 11, 1)),
        ("Sunday 3 May 2026", datetime(2026, 5, 3)),
        ("March 2026", datetime(2026, 3, 1)),
        ("3 December", datetime(2025, 12, 3)),
        ("12.01.2026", datetime(2026, 1, 12)),
        ("31/05/2026", datetime(2026, 5, 31)),
        ("20261101", datetime(2026, 11, 1)),
        ("now", NOW),
    ],
)
def test_english_counts_from_now(typed: str, means: datetime) -> None:
    assert moment(typed, "--at", NOW.astimezone()) == means.astimezone()


@pytest.mark.parametrize(
    "typed",
    [
        *(
            "",
            "   ",
            "soon",
            "my birthday last year",
            "3 days ago or so",
            "3 days ago at 25:00",
            "not yesterday",
        ),
        *(
            "03/04/2026",
            "1.2.26",
            "12/2026",
            "2026-13-01",
            "30 February 2026",
            "32 Nov 2026",
            "Monday 3 May 2026",
        ),
        *(
            "2026",
            "12",
            "1700000000",
            "3 days",
            "a",
            "on",
            "99999999 years ago",
            "0001-01-01T00:00",
            "9999-12-31",
        ),
    ],
)
def test_what_is_not_understood_whole_is_refused_in_one_line_that_shows_it(typed: str) -> None:
    with pytest.raises(UserError) as refused:
        moment(typed, "--at", NOW.astimezone())
    assert str(refused.value).startswith("--at: ")
    assert "\n" not in str(refused.value)
    assert repr(typed) in str(refused.value) if typed.strip() else "empty" in str(refused.value)


@given(st.datetimes(datetime(1999, 1, 1), datetime(2100, 1, 1)), st.integers(2, 300))
def test_days_ago_are_days_ago_whatever_the_day(now: datetime, days: int) -> None:
    now = now.replace(second=0, microsecond=0)
    found = moment(f"{days} days ago", "--at", now.astimezone())
    assert found == (now - timedelta(days=days)).astimezone()


def test_other_commands_do_not_pay_for_the_parser() -> None:
    code = "import sys, vhm.commands.remember, vhm.commands.recall; print('dateparser' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
