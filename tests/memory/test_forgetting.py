"""Forgetting: what each band of activation keeps."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vhm.memory.forgetting import fade

MEETING = "We met at 14:30 in room B in 2019; then we left. It rained."


@given(st.text(), st.floats(0.85, 2.5))
def test_a_strong_memory_is_verbatim(text, activation):
    assert fade(text, activation) == text


def test_the_bands():
    assert fade(MEETING, 0.85) == MEETING
    assert fade(MEETING, 0.849) == "We met earlier in room B some time ago; then we left. It rained."
    assert fade(MEETING, 0.6) == fade(MEETING, 0.849)
    assert fade(MEETING, 0.599) == "We met sometime in a room a while back"


@pytest.mark.parametrize(
    ("text", "medium", "low"),
    [
        ("The 9:00 train.", "The earlier train.", "The sometime train"),
        ("At 2:30 pm it began", "Earlier it began", "Sometime it began"),
        ("14:30: Dr. Smith called", "Earlier: Dr. Smith called", "Sometime: Dr. Smith called"),
        ("from 14:00 to 15:30 we sat", "earlier we sat", "sometime we sat"),
        ("on May 5, 2022 we met", "on May 5 some time ago we met", "on May 5 a while back we met"),
        ("on 2023-05-01 we met", "some time ago we met", "a while back we met"),
        ("I lived there 2019-2021", "I lived there some time ago", "I lived there a while back"),
        ("that 2015 thing", "that some time thing", "that a while back thing"),
        ("in R12 or Room 4.12a", "in R12 or Room 4.12a", "in a room or a room"),
        ("the room is 3 m wide", "the room is 3 m wide", "the room is 3 m wide"),
        ("it cost $2000 or 1,999", "it cost $2000 or 1,999", "it cost $2000 or 1,999"),
        ("Who came? I did.", "Who came? I did.", "Who came?"),
        ("It took 3.5 h. Fine.", "It took 3.5 h. Fine.", "It took 3.5 h"),
    ],
)
def test_what_fades(text, medium, low):
    assert fade(text, 0.7) == medium
    assert fade(text, 0.3) == low


pieces = st.lists(
    st.sampled_from(
        ["we", "met", "14:30", "2019", "room B", "R7", ".", ";", "in", "at", "May", "3 pm", "-", "\n", "é"]
    )
).map(" ".join)


@given(pieces | st.text(max_size=60))
def test_a_weak_memory_holds_no_clock_and_no_more_than_it_had(text):
    faded = fade(text, 0.3)
    assert not re.search(r"(?<![\w:.,$€£])\d{1,2}:\d{2}(?![\w:])", faded) or not re.search(r"\d", text)
    assert fade(faded, 0.3) == faded
    assert bool(faded) == bool(text.strip())
