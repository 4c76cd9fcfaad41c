"""The prompt for a language model."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from vhm.contract.messages import Beat
from vhm.memory import ages, prompt

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def beat(text, age="2 days ago", activation=0.9, stored_at=None, speaker=None):
    return Beat(
        anchor_id=uuid.uuid4(),
        text=text,
        perceived_age=age,
        activation=activation,
        stored_at=stored_at,
        meta={"speaker": speaker} if speaker else None,
    )


def test_recent_comes_first_and_what_nobody_can_read_last():
    told = [beat("a", "long ago"), beat("b", "2 weeks ago"), beat("c", "just now"), beat("d", "last week")]
    assert [each.text for each in prompt.order(told)] == ["c", "d", "b", "a"]


def test_of_the_same_age_the_one_stored_later_comes_first():
    early, late = datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 4, 2, tzinfo=UTC)
    told = [beat("early", "4 weeks ago", stored_at=early), beat("late", "4 weeks ago", stored_at=late)]
    assert [each.text for each in prompt.order(told)] == ["late", "early"]


def test_the_prompt_carries_the_question_and_each_memory_with_date_age_confidence_and_text():
    asked = prompt.prompt(
        [
            beat(
                "Exam at 14:30 in R12,\nfailed it.", "3 years ago", 0.2, datetime(2023, 4, 30, 23, tzinfo=UTC)
            ),
            beat("I passed.", "yesterday", 0.7, speaker="Ann"),
        ],
        "How did the exam go?",
        NOW.astimezone(datetime.fromisoformat("2026-01-01T00:00+02:00").tzinfo),
    )
    assert (asked.temperature, asked.max_tokens) == (0.35, 180)
    everything = asked.system + asked.user
    for wanted in (
        "first person",
        "past tense",
        "2-3 sentences",
        "85 words",
        "No lists",
        "Hedge",
        "Use only",
    ):
        assert wanted in everything
    assert "Question: How did the exam go?\n" in asked.user
    assert [line for line in asked.user.splitlines() if line.startswith("- ") and " | " in line] == [
        "- date unknown | yesterday | confidence medium | Ann: I passed.",
        "- 1 May 2023 | 3 years ago | confidence low | Exam at 14:30 in R12, failed it.",
    ]


beats = st.lists(
    st.builds(
        beat,
        st.text(max_size=300) | st.just("x " * 5_000),
        st.sampled_from(["just now", "2 weeks ago", "long ago"]) | st.text(max_size=20),
        st.floats(0, 2.5),
    ),
    max_size=6,
)


@given(beats)
def test_any_beats_make_a_prompt_of_bounded_size_with_a_line_each(told):
    asked = prompt.prompt(told, "what?", NOW)
    assert sum(" | confidence " in line for line in asked.user.split("Memories")[1].splitlines()[1:]) == len(
        told
    )
    assert len(asked.user) < 1_200 + 1_700 * (len(told) + 1)


@given(beats)
def test_order_loses_nothing_and_sorts_by_age(told):
    ordered = prompt.order(told)
    assert sorted(map(id, ordered)) == sorted(map(id, told))
    read = [ages.days(each.perceived_age) for each in ordered]
    known = [age for age in read if age is not None]
    assert known == sorted(known)
    assert None not in read[: len(known)]
