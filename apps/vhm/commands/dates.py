"""Moments as people type them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from vhm.contract.messages import checked_moment
from vhm.errors import UserError
from vhm.memory.ages import days


def moment(text: str, option: str) -> datetime:
    """`text` as a moment: RFC 3339 ("2026-05-01T09:00", "2026-05-01") or an age ("3 days ago",
    "yesterday", "last week"). One without an offset is in this machine's time zone. Raises UserError."""
    try:
        parsed = datetime.fromisoformat(text)
        return checked_moment(parsed if parsed.tzinfo else parsed.astimezone())
    except (ValueError, OverflowError):
        age = days(text)
    if age is None:
        raise UserError(f"{option}: cannot read {text!r}; try 2026-05-01T09:00, '3 days ago' or 'yesterday'")
    try:
        return checked_moment(datetime.now(UTC) - timedelta(days=age))
    except (ValueError, OverflowError) as error:
        raise UserError(f"{option}: {text!r} is too long ago ({error})") from None
