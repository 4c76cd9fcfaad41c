"""Moments as people type them: understood whole, or refused."""

from __future__ import annotations

import functools
import re
from datetime import date, datetime
from typing import Any

from vhm.contract.messages import checked_moment
from vhm.errors import UserError

HINT = "try 2026-05-01T09:00, '1 May 2026', '3 days ago at 9:00' or 'yesterday'"

_FILLERS = frozenset({"a", "an", "the", "at", "on", "in", "of", "and", "ago"})
"""Words that may make no difference: what any other word says must show in the moment."""
_MONTH = re.compile(r"(?i)\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\b")
_BARE_COUNT = re.compile(r"(?i)(?!last|next|this|previous)\S+\s+(?:second|minute|hour|day|week|month|year)s?")
_DAY = re.compile(r"(?<!\d)\d{1,2}(?!\d)")
_HALF_A_DATE = re.compile(r"(?<![\d/])\d+/\d+(?![\d/])")
_NUMERIC = re.compile(r"\b\d+(?P<mark>[./-])\d+(?P=mark)\d+\b")
_HOUR = re.compile(r"(?i)\bat (\d{1,2})$")
_ELSEWHEN = datetime(1999, 3, 7, 5, 13)  # noqa: DTZ001 - dateparser takes naive moments


def moment(text: str, option: str, now: datetime | None = None) -> datetime:
    """`text` as an aware moment: RFC 3339, a date, or English ("3 days ago at 9:00", "March 2026").

    One without an offset is in this machine's time zone; English counts from `now`. Raises UserError
    where any part of it is not understood."""
    typed = " ".join(text.split())
    if not typed:
        raise UserError(f"{option}: it is empty (an unset variable?); {HINT}")
    try:
        found = _written(typed) or _english(typed, (now or datetime.now().astimezone()).replace(tzinfo=None))
        if found is None:
            raise UserError(f"{option}: cannot read {text!r}; {HINT}")
        return checked_moment(found if found.tzinfo else found.astimezone())
    except (ValueError, OverflowError) as error:
        raise UserError(f"{option}: {text!r} is no moment to remember ({error})") from None


def optional(text: str | None, option: str, now: datetime | None = None) -> datetime | None:
    """See `moment`; None where the option is not given."""
    return None if text is None else moment(text, option, now)


def shown(when: datetime) -> str:
    """A moment for people, in this machine's time zone, to the minute."""
    return when.astimezone().isoformat(" ", "minutes")


def _written(typed: str) -> datetime | None:
    if typed.isdigit() and len(typed) != len("20260501"):
        return None
    try:
        return datetime.fromisoformat(typed)
    except ValueError:
        return None


@functools.lru_cache(maxsize=1_024)
def _english(typed: str, now: datetime) -> datetime | None:
    """The moment, if every word of the text counts: one whose absence changes nothing was passed over."""
    if typed.isdigit() or _BARE_COUNT.fullmatch(typed) or not _clear(typed):
        return None
    words = _HOUR.sub(r"at \1:00", typed).replace(",", " ").split()
    whole_month = bool(_MONTH.search(typed)) and not _DAY.search(typed)
    found, *_ = meanings = _meanings(words, now, whole_month)
    if found is None or _FILLERS.issuperset(word.lower() for word in words):
        return None
    for place, word in enumerate(words):
        if word.lower() in _FILLERS or word.lower() in (f"{found:%A}".lower(), f"{found:%a}".lower()):
            continue
        if _meanings(words[:place] + words[place + 1 :], now, whole_month) == meanings:
            return None
    return found


def _meanings(words: list[str], now: datetime, whole_month: bool) -> list[datetime | None]:
    """The readings of the words from three vantage points: a word that was ignored changes none of them."""
    return [
        _parsed(words, base, whole_month, prefer)
        for base, prefer in ((now, "past"), (now, "future"), (_ELSEWHEN, "past"))
    ]


def _clear(typed: str) -> bool:
    """Whether dates in figures can be read in one way only: 2026-05-01, 1.5.2026, 31/5/2026."""
    if _HALF_A_DATE.search(typed):
        return False
    for match in _NUMERIC.finditer(typed):
        mark, parts = match["mark"], match[0].split(match["mark"])
        if mark == "-":
            try:
                date.fromisoformat(match[0])
            except ValueError:
                return False
        elif len(parts[2]) != 4 or (mark == "/" and int(parts[0]) <= 12 and int(parts[1]) <= 12):
            return False
    return True


def _parsed(words: list[str], now: datetime, whole_month: bool, prefer: str) -> datetime | None:
    import dateparser  # 0.3 s, which only those pay who type a date in words

    settings: dict[str, Any] = {
        "RELATIVE_BASE": now,
        "PREFER_DATES_FROM": prefer,
        "PREFER_DAY_OF_MONTH": "first" if whole_month else "current",
        "DATE_ORDER": "DMY",
    }
    return dateparser.parse(" ".join(words), languages=["en"], settings=settings) if words else None
