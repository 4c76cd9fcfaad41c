"""The built-in teller: whole sentences within its bounds, whatever it is given."""

from __future__ import annotations

import time
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vhm.contract.messages import Beat
from vhm.memory import builtin_teller, prompt


def beat(text, age="2 weeks ago", activation=0.9):
    return Beat(anchor_id=uuid.UUID(int=1), text=text, perceived_age=age, activation=activation)


def test_no_beats_no_thread():
    assert builtin_teller.tell([]) == "I couldn't piece together a clear thread."
    assert builtin_teller.tell([beat("  \n")]) == "I couldn't piece together a clear thread."


def test_the_story_goes_from_recent_to_old_and_sounds_as_sure_as_its_memories():
    story = builtin_teller.tell(
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
    story = builtin_teller.tell([beat("Caroline: I went to my first pottery class and you were right.")])
    assert "Caroline" in story
    assert "Caroline:" not in story


def test_what_faded_is_not_told():
    story = builtin_teller.tell([beat("I had an exam at 14:30 in R12. I failed it.", "3 years ago", 0.2)])
    assert not any(lost in story for lost in ("14:30", "R12", "failed"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Ann: Hey Ben! Good to see you! I painted a lake at sunrise.", "Ann painted a lake at sunrise"),
        ("Ann: Wow, Ben! I just joined a choir yesterday.", "Ann joined a choir"),
        ("Ann: Thanks, Ben! My kids love the beach.", "“My kids love the beach.”"),
        ('Ann: I read "Emma" to my mother.', "“I read ‘Emma’ to my mother.”"),
        ("Ann: Yeah, Ben. What made you choose dancing?", "asked, “What made you choose dancing?”"),
        ("Ann: So pretty! [shares a photography of a bowl of soup]", "Ann showed a photo of a bowl of soup"),
        ("I met Sofia at the gym today.", "I met Sofia at the gym"),
        ("Went to the market with Anna.", "I went to the market with Anna"),
        ("The bakery is going well.", "the bakery was going well"),
        ("I'm allergic to nuts.", ": I'm allergic to nuts"),
        ("This morning I ran along the river.", "I ran along the river"),
        ("Last autumn, in Breda, the choir sang at dawn.", "in Breda, the choir sang at dawn"),
        ("Alice told me she moved last year.", "Alice told me she moved the year before"),
        ("Meeting with Anna about budget", ": Meeting with Anna about budget"),
    ],
)
def test_a_memory_is_told_as_what_it_is(text, told):
    assert any(told in builtin_teller.tell([beat(text, age, 0.9)]) for age in ("2 weeks ago", "3 weeks ago"))


def test_thanks_and_greetings_are_not_worth_telling_beside_something():
    story = builtin_teller.tell(
        [beat("Ann: Thanks, Ben! Bye!"), beat("Ann: I planted roses in the garden.", "1 month ago")]
    )
    assert story == "A month ago Ann planted roses in the garden." or "Bye" not in story
    assert "Bye" in builtin_teller.tell([beat("Ann: Thanks, Ben! Bye!")])


def test_what_the_memories_share_is_named_at_the_end():
    story = builtin_teller.tell(
        [beat("I sold the bakery.", "yesterday"), beat("I opened a bakery with Tom.", "3 years ago")]
    )
    assert story.endswith("the bakery.")


def test_long_memories_are_cut_at_a_pause_and_short_ones_are_whole():
    long = "Ann: I walked along the river for hours, " + "thinking about nothing at all, " * 20
    story = builtin_teller.tell(
        [beat(long), beat("I slept.", "1 month ago"), beat("I cooked soup.", "2 months ago")]
    )
    assert len(story) <= 400
    assert "slept" in story
    assert "cooked soup" in story
    assert "…" not in story


def test_no_quote_ends_in_the_middle_of_a_clause():
    old = (
        "Gina: I used to compete in a few dance competitions and shows - my fav memory was when my team won"
        " first place at a regionals at age fifteen."
    )
    stories = [
        builtin_teller.tell(
            [
                beat(f"Gina: My teachers made {'so ' * more}many memories with me.", "1 month ago", 0.5),
                beat(old, "6 months ago", 0.5),
                beat("Jon: The river near my house was really beautiful then.", "7 months ago", 0.48),
            ]
        )
        for more in range(60)
    ]
    assert not any("memory was.”" in story for story in stories)
    assert any("competitions and shows.”" in story for story in stories)


@pytest.mark.parametrize(("activation", "sure"), [(0.95, True), (0.7, False), (0.3, False)])
def test_hedges_follow_the_thresholds_of_forgetting(activation, sure):
    hedges = ("remember", "recall", "think", "mistaken", "memory")
    for age in ("1 week ago", "2 weeks ago", "1 month ago", "1 year ago"):
        story = builtin_teller.tell([beat(f"I planted roses {age}, in the garden.", age, activation)])
        assert any(hedge in story for hedge in hedges) is not sure


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
    story = builtin_teller.tell(told)
    assert 0 < len(story) <= 400
    assert story == builtin_teller.tell(list(told))
    assert story.endswith((".", "!", "?", "…", "”"))
    assert "\n" not in story


@pytest.mark.parametrize(
    "unit", ["last week ", "[shares ", "1", "12:", "I ", "oh, ", "“", "yesterday ", ".", "a "]
)
def test_no_text_takes_long(unit):
    told = [beat((unit * 10_000)[:10_000], unit * 1_000, activation) for activation in (0.9, 0.7, 0.3)]
    began = time.process_time()
    builtin_teller.tell(told)
    prompt.prompt(told)
    assert time.process_time() - began < 5  # minutes, where a pattern backtracks
