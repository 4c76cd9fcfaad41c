"""What a text's words are for search: normal forms, pairs of characters, the month of May."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vhm.memory.tokenizer import stems, tokens, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ann’s new Café", ["ann", "new", "café"]),
        ("\uff21\uff22\uff23 \uff11\uff12\uff13", ["abc", "123"]),
        ("Straße", ["strasse"]),
        ("ﬁne", ["fine"]),
        ("我对花生过敏，吃了。", ["我对", "对花", "花生", "生过", "过敏", "吃了"]),
        ("项目用PostgreSQL做", ["项目", "目用", "postgresql", "做"]),
        ("ラーメン屋", ["ラー", "ーメ", "メン", "ン屋"]),
        ("ﾗｰﾒﾝ", ["ラー", "ーメ", "メン"]),
        ("부산에 갔다", ["부산", "산에", "갔다"]),
        ("猫", ["猫"]),
        ("at 10:15, 1,5 kg", ["at", "10:15", "1,5", "kg"]),
        ("", []),
    ],
)
def test_tokens(text, expected):
    assert tokens(text) == expected


@given(st.text())
def test_tokens_do_not_depend_on_case_or_on_how_characters_are_composed(text):
    once = tokens(text)
    assert tokens(unicodedata.normalize("NFKD", text)) == once
    assert tokens(unicodedata.normalize("NFKC", text)) == once
    assert tokens(text.casefold()) == once


@given(st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), min_size=2))
def test_a_run_of_characters_is_one_pair_shorter(text):
    assert len(tokens(text)) == len(text) - 1
    assert words(text) == [text]


@pytest.mark.parametrize(
    "text",
    ["in May", "last May", "7 May", "May 7th", "May 2023", "since May", "of may", "until May", "by May"],
)
def test_may_is_a_month(text):
    assert "may" in stems(tokens(text))


@pytest.mark.parametrize("text", ["may I", "it may rain", "I may, 45 or so", "May"])
def test_may_is_a_function_word(text):
    assert "may" not in stems(tokens(text))
