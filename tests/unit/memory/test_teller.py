"""The built-in teller: whole sentences within its bounds, whatever it is given."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from vhm.contract.messages import Beat
from vhm.memory import teller


def beat(text, age="2 weeks ago", activation=0.9):
    return Beat(anchor_id=uuid.UUID(int=1), text=text, perceived_age=age, activation=activation)


def test_no_beats_no_thread():
    assert teller.tell([]) == "I couldn't piece together a clear thread."
    assert teller.tell([beat("  \n")]) == "I couldn't piece together a clear thread."


def test_the_story_goes_from_recent_to_old_and_sounds_as_sure_as_its_memories():
    story = teller.tell(
        [
            beat("I sold my old bicycle.", "3 years ago", 0.4),
            beat("I bought a red bicycle.", "yesterday", 0.95),
        ]
    )
    assert story.index("red bicycle") < story.index("old bicycle")
    assert story.startswith("Yesterday")
    assert "three years ago" in story
    assert any(hedge in story for hedge in ("I think", "not mistaken", "seem to remember", "faint"))


def test_who_said_it_is_told():
    story = teller.tell([beat("Caroline: I went to my first pottery class and you were right.")])
    assert "Caroline" in story
    assert "Caroline:" not in story


def test_what_faded_is_not_told():
    story = teller.tell([beat("I had an exam at 14:30 in R12. I failed it.", "3 years ago", 0.2)])
    assert not any(lost in story for lost in ("14:30", "R12", "failed"))


texts = st.text(min_size=1, max_size=1_500) | st.lists(
    st.sampled_from(
        [
            "Ann:",
            "I",
            "we",
            "went",
            "a train.",
            "station;",
            "late?",
            "14:30",
            "“so”",
            "[shares a photo of a dog]",
            "!",
        ]
    )
).map(" ".join)


@given(
    st.lists(
        st.builds(
            beat, texts, st.sampled_from(["just now", "1 year ago"]) | st.text(max_size=60), st.floats(0, 2.5)
        ),
        max_size=6,
    )
)
def test_any_beats_give_whole_sentences_within_400_characters_and_the_same_again(told):
    story = teller.tell(told)
    assert 0 < len(story) <= 400
    assert story == teller.tell(list(told))
    assert story.endswith((".", "!", "?", "…", "”"))
    assert "\n" not in story
