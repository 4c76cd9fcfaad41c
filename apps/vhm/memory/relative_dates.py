"""Words that mean the day of speaking (yesterday, next month), told from another day."""

from __future__ import annotations

import re

_SEASON = r"(?:winter|spring|summer|fall|autumn)"
_WEEK = r"(?:week(?:end)?|(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day)"
_RELATIVE = tuple(  # what is said, how it is told from afar, and how many days it spans
    (
        re.compile(rf"(?P<before>[ ,]{{0,2}})\b(?:just )?(?:{said})\b(?!['’])(?P<after>,? ?)", re.IGNORECASE),
        meant,
        span,
    )
    for said, meant, span in (
        (r"the day before yesterday", "two days before", 2),
        (r"yesterday", "the day before", 1),
        (r"tomorrow", "the next day", 1),
        (r"today|this (?:morning|afternoon|evening)", "that day", 0),
        (r"tonight", "that night", 0),
        (r"last night", "the night before", 1),
        (rf"last (?P<unit>{_WEEK})", r"the \g<unit> before", 7),
        (rf"next (?P<unit>{_WEEK})", r"the \g<unit> after", 7),
        (r"this (?P<unit>week(?:end)?)", r"that \g<unit>", 7),
        (r"last month", "the month before", 30),
        (r"next month", "the month after", 30),
        (r"this month", "that month", 30),
        (rf"last (?P<unit>year|{_SEASON})", r"the \g<unit> before", 365),
        (rf"next (?P<unit>year|{_SEASON})", r"the \g<unit> after", 365),
        (rf"this (?P<unit>year|{_SEASON})", r"that \g<unit>", 180),
    )
)
_AGO = re.compile(r"(?<=\w )ago\b(?! *earlier)", re.IGNORECASE)
_LEANS_ON_IT = re.compile(
    r"\b(?:of|from|since|than|like|until|till|by|for|about|in|on|at|the|a|my|our|that|and|or|as)$",
    re.IGNORECASE,
)
_LONGEST_LEAN = len("x until")
_IS_SUBJECT = re.compile(
    r"(?:was|is|were|had|has|will|would|(?:and|or) (?:today|tomorrow|tonight))\b", re.IGNORECASE
)
_OPENING = re.compile(
    r"(?:(?:about|around|some|just) )?(?:(?:a couple of|a few|an?|one|two|three|four|five|six|\d+) "
    rf"(?:day|week|month|year)s? (?:ago|back|earlier)|last (?:month|year|{_WEEK}|{_SEASON})"
    r"|the other day|recently|lately|earlier today), ",
    re.IGNORECASE,
)


def placed(text: str, age_days: float) -> str | None:
    """A text said `age_days` ago as it is told now, beside words that say how long ago that is.

    "last month" becomes "the month before"; it is left out where the age is too vague for it to matter, or
    where the text only opens with it. None where the text hangs on the day it was said ("Today was long").
    """
    text = _OPENING.sub("", text, count=1) if _OPENING.match(text) else text
    for pattern, meant, span in _RELATIVE:
        resaid = _resaid(text, pattern, meant, span, age_days)
        if resaid is None:
            return None
        text = resaid
    text = _AGO.sub("earlier", text).strip()
    return text[:1].upper() + text[1:]


def _resaid(text: str, pattern: re.Pattern[str], meant: str, span: int, age_days: float) -> str | None:
    hangs = False

    def seen(match: re.Match[str]) -> str:
        nonlocal hangs
        start, end = match.span()
        before, after = match.string[max(0, start - _LONGEST_LEAN) : start], match.string[end : end + 1]
        leans = _LEANS_ON_IT.search(before) or _IS_SUBJECT.match(match.string, end)
        if leans or (span and age_days < max(7, 8 * span)):
            hangs = hangs or span <= 2
            return match["before"] + match.expand(meant) + match["after"]
        if not (match["before"] and after.isalnum()):
            return ""
        return ", " if "," in match["after"] else " "

    text = pattern.sub(seen, text)
    return None if hangs else text
