"""Words of time: those that name a day, whether a question asks when, whether a text tells a time."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import date

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


def date_words(day: date) -> tuple[str, str, str]:
    """The words that name a day: its month, its day of the month and its year."""
    return MONTHS[day.month - 1], str(day.day), str(day.year)


def asks_when(question: str) -> bool:
    """Whether a question asks for a time."""
    return bool(_ASKS_WHEN.search(question))


def tells_time(spoken: Collection[str]) -> bool:
    """Whether the words of a text (lower-cased) say when."""
    return not _TIME_WORDS.isdisjoint(spoken) or any(
        len(word) == 4 and word.startswith(("19", "20")) and word.isdigit() for word in spoken
    )
