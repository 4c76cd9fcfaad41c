"""Words of time: those that name a day, whether a question asks when, whether a text tells a time."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from vhm.memory.periods import MONTHS
from vhm.memory.tokenizer import listed

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


def date_words(moment: datetime) -> tuple[str, str, str]:
    """The words that name a day: its month, its day and its year."""
    return MONTHS[moment.month - 1], str(moment.day), str(moment.year)


def asks_when(question: str) -> bool:
    """Whether a question asks for a time."""
    return bool(_ASKS_WHEN.search(question))


def tells_time(spoken: Iterable[str]) -> bool:
    """Whether the words of a text (lower-cased) say when."""
    return any(
        word in _TIME_WORDS or (len(word) == 4 and word.isdigit() and word[:2] in ("19", "20"))
        for word in spoken
    )
