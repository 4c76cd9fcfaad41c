"""Ages in words, both ways: from two moments to a phrase, and from anybody's phrase to days."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

_UNIT_DAYS = {
    "second": 1 / 86_400,
    "minute": 1 / 1_440,
    "hour": 1 / 24,
    "day": 1.0,
    "night": 1.0,
    "week": 7.0,
    "weekend": 7.0,
    "fortnight": 14.0,
    "month": 30.0,
    "year": 365.0,
    "decade": 3_650.0,
}
_ABBREVIATIONS = {
    "s": "second", "sec": "second", "m": "minute", "min": "minute", "h": "hour", "hr": "hour", "d": "day",
    "w": "week", "wk": "week", "mo": "month", "y": "year", "yr": "year",
}  # fmt: skip
_NUMBERS = {
    "zero": 0.0, "half": 0.5, "a": 1.0, "an": 1.0, "one": 1.0, "single": 1.0, "last": 1.0, "previous": 1.0,
    "past": 1.0, "two": 2.0, "couple": 2.0, "three": 3.0, "few": 3.0, "four": 4.0, "five": 5.0,
    "several": 5.0, "six": 6.0, "seven": 7.0, "eight": 8.0, "nine": 9.0, "ten": 10.0, "eleven": 11.0,
    "twelve": 12.0, "dozen": 12.0,
}  # fmt: skip

_LONGEST = 200
"""Characters of a phrase that are read: an age is short."""

_FIXED = (
    (r"\b(?:just now|right now|this (?:moment|minute|second)|a moment ago|moments ago)\b|^now$", 0.0),
    (r"\b(?:today|tonight|this (?:morning|noon|afternoon|evening))\b", 0.25),
    (r"\bday before yesterday\b", 2.0),
    (r"\b(?:yesterday|last (?:night|evening))\b", 1.0),
    (r"\b(?:recently|lately|the other day|this week)\b", 3.0),
    (r"\bthis month\b", 15.0),
    (r"\bthis year\b", 180.0),
)
_SPELLED = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip
_PLAIN = re.compile(
    r"a moment ago|earlier (?:today|this (?:week|month|year))|today|tonight"
    r"|yesterday|the day before yesterday"
    r"|this (?:morning|afternoon|evening|week|month|year)|last (?:night|evening|week|month|year)"
    r"|the other day|recently|half an? (?:hour|year) ago"
)
_COUNTED_AGO = re.compile(
    r"(?P<about>(?:about|around|over|almost|nearly|some) )?"
    rf"(?P<number>\d{{1,4}}|an?|{'|'.join(_SPELLED[1:])}|several|a few|a couple of)"
    r" (?P<unit>second|minute|hour|day|week|month|year|decade)s? ago"
)
_AGO = re.compile(r"\bago\b")
_QUANTITY = re.compile(
    r"(?:(?P<number>\d+(?:[.,]\d+)?)|\b(?P<word>" + "|".join(_NUMBERS) + r")\b)"
    r"(?P<half>\s+and\s+a\s+half)?[\s-]*(?:of\s+|an?\s+)?"
    r"(?P<unit>"
    + "|".join(sorted({*_UNIT_DAYS, *_ABBREVIATIONS}, key=len, reverse=True))
    + r")s?\b(?P<more>\s+and\s+a\s+half)?"
)


def perceived_age(stored_at: datetime, now: datetime) -> str:
    """How long ago `stored_at` feels at `now`. Both aware; calendar days are those of `now`'s offset."""
    age = max(now - stored_at, timedelta(0))
    if age < _MINUTE:
        return "just now"
    if age < _HOUR:
        return _ago(age // _MINUTE, "minute")
    if age < _DAY:
        same_day = stored_at.astimezone(now.tzinfo).date() == now.date()
        return "earlier today" if same_day else "yesterday"
    days = age // _DAY
    if days < 7:
        return "yesterday" if days == 1 else _ago(days, "day")
    if days < 30:
        return _ago(days // 7, "week")
    if days < 365:
        return _ago(days // 30, "month")
    return _ago(days // 365, "year")


def spoken(phrase: str) -> str | None:
    """An age as it stands inside a sentence ("two weeks ago", "yesterday").

    None for a phrase of somebody else's that would not fit there, or that tells no age."""
    text = " ".join(phrase[:_LONGEST].lower().split()).rstrip(".,!")
    if text == "just now":
        return "a moment ago"
    if _PLAIN.fullmatch(text):
        return text
    counted = _COUNTED_AGO.fullmatch(text)
    if counted is None or days(text) is None:
        return None
    about, number, unit = counted["about"] or "", counted["number"], counted["unit"]
    if number.isdigit() and int(number) == 1:
        number = "an" if unit.startswith("hour") else "a"
    elif number.isdigit() and int(number) < len(_SPELLED):
        number = _SPELLED[int(number)]
    one = number in ("a", "an", "one")
    return f"{about}{number} {unit}{'' if one else 's'} ago"


def days(phrase: str) -> float | None:
    """An age in days read from a phrase like "2 weeks ago", "last month" or "2.5 hours ago".

    None for a phrase that tells no age.
    """
    text = " ".join(phrase[:_LONGEST].lower().split())
    counted = _counted(text)
    if counted is not None and _AGO.search(text):
        return counted
    return next((value for pattern, value in _FIXED if re.search(pattern, text)), counted)


def _counted(text: str) -> float | None:
    total, found = 0.0, False
    for match in _QUANTITY.finditer(text):
        number, word = match["number"], match["word"]
        value = float(number.replace(",", ".")) if number else _NUMBERS[word]
        total += (value + (0.5 if match["half"] or match["more"] else 0.0)) * _unit_days(match["unit"])
        found = True
    return total if found and math.isfinite(total) else None


def _unit_days(unit: str) -> float:
    return _UNIT_DAYS[_ABBREVIATIONS.get(unit, unit)]


def _ago(count: int, unit: str) -> str:
    return f"{count} {unit}{'' if count == 1 else 's'} ago"
