"""Who said a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vhm.memory.speaker import speaker


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Ana: I went to the sea.", ("ana",)),
        ("Ana Maria: hi", ("ana", "maria")),
        ("Dr. O'Neil: hi", ("dr", "o'neil")),
        ("小李：我到了", ("小李",)),
        ("I went to the sea.", ()),
        ("Address: Mill Lane 3", ()),
        ("New address: Mill Lane 3", ()),
        ("Correction: my blood type is A.", ()),
        ("TODO: call Ana", ()),
        ("WIFI: hunter22", ()),
        ("shopping list: milk", ()),
        ("10:15: the standup", ()),
        ("One Two Three Four: no name is that long", ()),
        ("Ana:", ()),
        ("", ()),
    ],
)
def test_the_name_a_text_opens_with(text, name):
    found = speaker(text)
    assert found.name == name
    assert bool(found.said_from) == bool(name)


@pytest.mark.parametrize(
    ("text", "named", "name", "said"),
    [
        ("Ana: I went.", "Ana", ("ana",), "I went."),
        ("Ana: I went.", "Ana Sá", ("ana", "sá"), "I went."),
        ("Ben: I went.", "Ana", ("ana",), "Ben: I went."),
        ("Note: I went.", "Ana", ("ana",), "Note: I went."),
        ("I went.", "user", ("user",), "I went."),
        ("Ana: I went.", "", ("ana",), "I went."),
        ("Ana: I went.", "  ?", ("ana",), "I went."),
    ],
)
def test_metadata_name_the_speaker(text, named, name, said):
    found = speaker(text, named)
    assert (found.name, text[found.said_from :]) == (name, said)


@given(
    st.text() | st.from_regex(r"[A-Z][a-z]{0,9}( [A-Z][a-z]{0,5})?: .{0,9}", fullmatch=True),
    st.none() | st.text(),
)
def test_any_text_has_a_speaker_or_none(text, named):
    found = speaker(text, named)
    assert 0 <= found.said_from < max(1, len(text))
