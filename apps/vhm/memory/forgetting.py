"""What a weak memory has lost: first its times and years, then its rooms and all but one clause."""

from __future__ import annotations

import re
from collections.abc import Callable

HIGH, MEDIUM = 0.85, 0.6
"""Activation from which a memory is verbatim, and from which only its times have faded."""

_CLOCK = r"(?:\d{1,2}:\d{2}(?::\d{2})?(?:\s*[ap]\.?m\b\.?)?|\d{1,2}\s*(?:[ap]\.m\.|[ap]m\b|o['’]clock\b))"
_CLOCKS = re.compile(
    r"(?:\b(?:at|around|about|by|from|between|since|until|till|before|after)\s+(?:about\s+|around\s+)?)?"
    rf"(?<![\w$€£.,:]){_CLOCK}(?:\s*(?:-|–|to|until|till|and)\s*{_CLOCK})?(?!\w|:\d)",
    re.IGNORECASE,
)
_YEAR = r"(?<![\w$€£.,:-])(?:1\d|2[012])\d\d(?![\w:%-]|[.,]\d)"
_DATED_YEARS = re.compile(
    r"\b((?:Jan|Febr|Septem|Octo|Novem|Decem)(?:uary|ber)|March|April|May|June|July|August"
    r"|spring|summer|autumn|fall|winter)\b((?:\s+\d{1,2}(?:st|nd|rd|th)?)?),?\s+(?:of\s+)?" + _YEAR,
    re.IGNORECASE,
)
_IN_YEARS = re.compile(
    r"(?:\b(?:on\s+)?(?<![\w-])(?:1\d|2[012])\d\d-\d\d-\d\d(?![\w-])"
    r"|\b(?:from\s+)?(?<![\w-])(?:1\d|2[012])\d\d\s?(?:-|–|to)\s?(?:1\d|2[012])\d\d(?![\w%-])"
    rf"|\b(?:back\s+)?(?:in|during)\s+(?:the\s+year\s+)?{_YEAR})",
    re.IGNORECASE,
)
_YEARS = re.compile(_YEAR)
_ROOMS = re.compile(
    r"\b(?:[Tt]he\s+)?(?:R\d+(?:[.-]?\w+)*|[Rr]oom\s+(?:[A-Za-z]{0,2}[-.]?\d+(?:[.-]?\w+)*|[B-HJ-Zb-hj-z]|A))"
    r"(?![\w'’])"
)
_CLAUSE_END = re.compile(
    r"(?<!\b[A-HJ-Z])(?<!\b(?:Dr|Mr|Ms|St|vs))(?<!\b(?:Mrs|e\.g|i\.e))[.;!?…]+(?=[\s\"'”’)]|$)|[\r\n]+"
)


def fade(text: str, activation: float) -> str:
    """The text as a memory of that activation keeps it.

    From 0.85 verbatim; from 0.6 clock times are "earlier" and four-digit years "some time"; below, they
    are "sometime" and "a while back", a room is "a room" and only the first clause is left, without its
    full stop (a question keeps its mark). The preposition of a time goes with it, so that what is left
    still reads: "at 14:30 in 2019" becomes "earlier some time ago".
    """
    if activation >= HIGH:
        return text
    if activation >= MEDIUM:
        return _without_times(text, "earlier", "some time", "some time ago")
    text = _without_times(text, "sometime", "a while back", "a while back")
    return _first_clause(_ROOMS.sub(_as_written("a room"), text))


def _without_times(text: str, clock: str, year: str, in_year: str) -> str:
    text = _CLOCKS.sub(_as_written(clock), text)
    text = _DATED_YEARS.sub(rf"\1\2 {in_year}", text)
    text = _IN_YEARS.sub(_as_written(in_year), text)
    return _YEARS.sub(_as_written(year), text)


def _as_written(phrase: str) -> Callable[[re.Match[str]], str]:
    """A replacement that begins with a capital where a sentence begins."""

    def replace(match: re.Match[str]) -> str:
        before = match.string[: match.start()].rstrip()
        opens = not match[0][0].islower() and (not before or before[-1] in ".!?")
        return phrase.capitalize() if opens else phrase

    return replace


def _first_clause(text: str) -> str:
    start = 0
    for end in _CLAUSE_END.finditer(text):
        clause = text[start : end.start()].strip()
        if clause:
            return clause + "?" if "?" in end[0] else clause
        start = end.end()
    return text[start:].strip() or text.strip()
