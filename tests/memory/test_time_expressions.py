"""Words of time in questions and texts."""

from __future__ import annotations

from datetime import UTC, datetime

from vhm.memory.time_expressions import asks_when, date_words, tells_time
from vhm.memory.tokenizer import words


def test_who_asks_when_and_who_tells():
    assert asks_when("When did Ann go?")
    assert asks_when("How long has Ann been here?")
    assert not asks_when("What did Ann say when she came?")
    assert tells_time(words("Ann: I went there last weekend."))
    assert tells_time(words("Ann: In 2022!"))
    assert not tells_time(words("Ann: I like soup."))


def test_the_words_of_a_day():
    assert date_words(datetime(2026, 11, 24, 15, tzinfo=UTC)) == ("november", "24", "2026")
