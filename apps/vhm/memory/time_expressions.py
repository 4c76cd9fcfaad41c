"""Time in questions and answers: which days a question means, whether it asks when, whether a text tells."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from vhm.memory import ages
from vhm.memory.tokenizer import STOP_WORDS, listed, words

MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
    "november", "december",
)  # fmt: skip
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAY = timedelta(days=1)

_MONTH = r"(?P<month>" + "|".join(f"{name[:3]}(?:{name[3:]})?" for name in MONTHS) + r")\.?"
_DATES = (
    re.compile(rf"\b(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH},?\s+(?P<year>\d{{4}})\b", re.I),
    re.compile(rf"\b{_MONTH}\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<year>\d{{4}})\b", re.I),
    re.compile(r"\b(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)\b"),
    re.compile(rf"\b{_MONTH},?\s+(?:of\s+)?(?P<year>\d{{4}})\b", re.I),
    re.compile(r"\b(?:in|of|during|since|year)\s+(?P<year>(?:19|20|21)\d\d)\b", re.I),
)
_COUNT = r"(?:\d+(?:\.\d+)?|an?|one|two|three|four|five|six|seven|eight|nine|ten|a couple of|a few)"
_AGO = re.compile(rf"\b{_COUNT}\s+(?P<unit>day|week|month|year)s?\s+ago\b", re.I)
_WITHIN = re.compile(
    r"\b(?:in|over|during|within|for)\s+(?:the\s+)?(?:last|past)\s+(\S+\s+(?:hour|day|week|month|year)s?)\b",
    re.I,
)
_LAST = re.compile(
    rf"\b(?P<which>last|this)\s+(?P<unit>week(?:end)?|month|year|{'|'.join(_WEEKDAYS)})\b", re.I
)
_ASKS_WHEN = re.compile(
    r"^\W*(?:so\s+)?when\b|\bsince when\b|\bhow long\b"
    r"|\b(?:what|which) (?:date|day|month|year|time|season)\b",
    re.I,
)
_TIME_WORDS = listed("""
    yesterday today tonight tomorrow ago since recently last next week weeks weekend weekends month months
    year years summer winter spring autumn january february april june july august september october
    november december monday tuesday wednesday thursday friday saturday sunday
""")


class Period(msgspec.Struct, frozen=True):
    """From `start` up to `end`, both aware."""

    start: datetime
    end: datetime


def date_words(moment: datetime) -> tuple[str, str, str]:
    """The words that name a day: its month, its day and its year."""
    return MONTHS[moment.month - 1], str(moment.day), str(moment.year)


def asks_when(question: str) -> bool:
    """Whether a question wants a time for an answer."""
    return bool(_ASKS_WHEN.search(question))


_ONLY_TIME = listed("""
    do done doing did happen happened happening go went gone going event events thing things say said tell
    told talk talked talking remember day days time times afternoon morning evening night make made
""")
"""What questions about a time alone hold beside it and function words: "What happened last week?"."""


def asks_only_for_period(question: str) -> bool:
    """Whether a question that names a period asks for nothing but what was then."""
    return all(
        token in _ONLY_TIME or token in STOP_WORDS or token in _TIME_WORDS or token[0].isdigit()
        for token in words(question)
    )


def tells_time(spoken: Iterable[str]) -> bool:
    """Whether the words of a text (lower-cased) say when."""
    return any(
        word in _TIME_WORDS or (len(word) == 4 and word.isdigit() and word[:2] in ("19", "20"))
        for word in spoken
    )


def named_period(question: str, now: datetime) -> Period | None:
    """The time that a question is about: "on 7 May 2023", "in 2022", "last week", "two months ago".

    Words like "last week" are counted from `now` (aware; days are those of its offset). None where the
    question names no time, or one that no calendar has.
    """
    for pattern in _DATES:
        if date := pattern.search(question):
            return _calendar(date.groupdict(), now)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        return _counted(question, now, today)
    except OverflowError:
        return None


def _calendar(date: dict[str, str | None], now: datetime) -> Period | None:
    year, month, day = int(date["year"] or 0), date.get("month"), date.get("day")
    number = _month_number(month) if month else 1
    try:
        start = now.replace(
            year=year, month=number, day=int(day or 1), hour=0, minute=0, second=0, microsecond=0
        )
        if day:
            return Period(start, start + _DAY)
        end = start.replace(year=year + 1) if not month else _next_month(start)
    except (ValueError, OverflowError):
        return None
    return Period(start, end)


def _counted(question: str, now: datetime, today: datetime) -> Period | None:
    if re.search(r"\bday before yesterday\b", question, re.I):
        return Period(today - 2 * _DAY, today - _DAY)
    if re.search(r"\b(?:yesterday|last (?:night|evening))\b", question, re.I):
        return Period(today - _DAY, today)
    if re.search(r"\b(?:today|tonight|this (?:morning|afternoon|evening))\b", question, re.I):
        return Period(today, today + _DAY)
    if ago := _AGO.search(question):
        age = ages.days(ago[0]) or 0.0
        half = {"day": 0.5, "week": 3.5, "month": 15.0, "year": 182.0}[ago["unit"].lower()]
        return Period(now - timedelta(days=age + half), now - timedelta(days=max(0.0, age - half)))
    if within := _WITHIN.search(question):
        span = ages.days(f"{within[1]} ago")
        return None if span is None else Period(now - timedelta(days=span), now)
    if last := _LAST.search(question):
        return _named(last["which"].lower(), last["unit"].lower(), now, today)
    if re.search(r"\b(?:recently|lately|the other day)\b", question, re.I):
        return Period(now - 14 * _DAY, now)
    return None


def _named(which: str, unit: str, now: datetime, today: datetime) -> Period:
    if unit in _WEEKDAYS:
        back = (today.weekday() - _WEEKDAYS.index(unit)) % 7
        day = today - (back or 7) * _DAY if which == "last" else today - back * _DAY
        return Period(day, day + _DAY)
    monday = today - today.weekday() * _DAY
    start, end = {
        "week": (monday, monday + 7 * _DAY),
        "weekend": (monday + 5 * _DAY, monday + 7 * _DAY),
        "month": (today.replace(day=1), _next_month(today.replace(day=1))),
        "year": (today.replace(month=1, day=1), today.replace(month=1, day=1, year=today.year + 1)),
    }[unit]
    if which == "this":
        return Period(start, max(end, now))
    if unit in ("week", "weekend"):
        return Period(start - 7 * _DAY, end - 7 * _DAY)
    before = (start - _DAY).replace(day=1) if unit == "month" else start.replace(year=start.year - 1)
    return Period(before, start)


def _month_number(month: str) -> int:
    if month.isdigit():
        return int(month)
    return next(number for number, name in enumerate(MONTHS, 1) if name.startswith(month[:3].lower()))


def _next_month(first: datetime) -> datetime:
    return (first + 32 * _DAY).replace(day=1)
