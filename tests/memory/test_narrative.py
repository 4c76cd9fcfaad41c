"""Narrative: order, motifs, theme and the prompt."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from vhm.contract.messages import Beat
from vhm.memory import ages, prompt


def beat(text, age="2 days ago", activation=0.9):
    return Beat(anchor_id=uuid.uuid4(), text=text, perceived_age=age, activation=activation)


TRAINS = [
    beat("Missed the train to Breda and waited in the station.", "2 weeks ago", 0.5),
    beat("The train was late again; I read in the station.", "yesterday", 0.9),
    beat("Bought a bicycle because of the trains.", "1 month ago", 0.7),
]


def test_recent_comes_first_and_what_nobody_can_read_last():
    told = [beat("a", "long ago"), beat("b", "2 weeks ago"), beat("c", "just now"), beat("d", "last week")]
    assert [each.text for each in prompt.order(told)] == ["c", "d", "b", "a"]


def test_motifs_are_content_words_of_two_beats_or_more():
    assert prompt.motifs(TRAINS) == ["train", "station"]


def test_the_theme_is_the_three_commonest_content_words():
    assert prompt.theme(TRAINS)[:2] == ["train", "station"]
    assert len(prompt.theme(TRAINS)) == 3
    assert prompt.theme([beat("the")]) == []


def test_who_speaks_is_no_motif():
    turns = [beat("Ann: Painting helps me, Ben."), beat("Ben: I like your paintings, Ann!")]
    assert prompt.motifs(turns) == ["painting"]


def test_the_prompt_asks_for_the_recap_and_carries_one_line_a_beat_from_recent_to_old():
    asked = prompt.prompt(TRAINS)
    assert (asked.temperature, asked.max_tokens) == (0.35, 180)
    everything = asked.system + asked.user
    for wanted in ("first person", "past tense", "2-3 sentences", "85 words", "No lists", "Hedge"):
        assert wanted in everything
    assert "Theme: train, station" in asked.user
    assert "Motifs: train, station" in asked.user
    lines = [line for line in asked.user.splitlines() if " | " in line]
    assert [line.split(" | ")[:2] for line in lines] == [
        ["- yesterday", "confidence high"],
        ["- 2 weeks ago", "confidence low"],
        ["- 1 month ago", "confidence medium"],
    ]
    assert lines[0].split(" | ")[2] == TRAINS[1].text
    assert lines[0].endswith("keywords train, station, read")


def test_what_faded_is_not_in_the_prompt():
    asked = prompt.prompt([beat("Exam at 14:30 in R12. Failed it in 2019.", "3 years ago", 0.2)])
    assert not {"14:30", "R12", "2019", "Failed"} & set(asked.user.split())


beats = st.lists(
    st.builds(
        beat,
        st.text(max_size=300) | st.sampled_from([each.text for each in TRAINS]),
        st.sampled_from(["just now", "2 weeks ago", "long ago"]) | st.text(max_size=20),
        st.floats(0, 2.5),
    ),
    max_size=6,
)


@given(beats)
def test_any_beats_make_a_prompt_of_bounded_size_with_a_line_each(told):
    asked = prompt.prompt(told)
    assert asked.user.count("\n- ") >= len(told)
    assert len(asked.user) < 1_200 + 1_700 * (len(told) + 1)
    for each in told:
        assert len(prompt.keywords(each)) <= prompt.MOST_KEYWORDS


@given(beats)
def test_order_loses_nothing_and_sorts_by_age(told):
    ordered = prompt.order(told)
    assert sorted(map(id, ordered)) == sorted(map(id, told))
    read = [ages.days(each.perceived_age) for each in ordered]
    known = [age for age in read if age is not None]
    assert known == sorted(known)
    assert None not in read[: len(known)]
