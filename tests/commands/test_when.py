"""Moments as people type them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from vhm.commands.dates import moment
from vhm.errors import UserError


def test_a_full_date_is_taken_as_it_is() -> None:
    assert moment("2026-05-01T09:00:00+02:00", "--at") == datetime(2026, 5, 1, 7, tzinfo=UTC)
    assert moment("2026-05-01T09:00Z", "--at") == datetime(2026, 5, 1, 9, tzinfo=UTC)


def test_a_date_without_an_offset_is_of_this_machine() -> None:
    assert moment("2026-05-01T09:00", "--at") == datetime(2026, 5, 1, 9).astimezone()
    assert moment("2026-05-01", "--at") == datetime(2026, 5, 1).astimezone()


@pytest.mark.parametrize(
    ("text", "days"), [("3 days ago", 3), ("yesterday", 1), ("last week", 7), ("2 hours ago", 2 / 24)]
)
def test_an_age_counts_from_now(text: str, days: float) -> None:
    assert abs(moment(text, "--at") - (datetime.now(UTC) - timedelta(days=days))) < timedelta(minutes=1)


@pytest.mark.parametrize("text", ["soon", "", "99999999 years ago", "0001-01-01T00:00"])
def test_what_cannot_be_read_names_the_option(text: str) -> None:
    with pytest.raises(UserError, match="--at"):
        moment(text, "--at")
