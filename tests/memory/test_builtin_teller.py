"""The built-in teller: nothing untrue is told, in whole sentences within its bounds."""

from __future__ import annotations

import re
import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vhm.contract.messages import Beat
from vhm.memory import ages, builtin_teller, prompt, templates
from vhm.memory.ages import perceived_age
from vhm.memory.control_characters import visible

NOW = datetime(2026, 11, 28, 20, tzinfo=UTC)


def beat(text, age="2 weeks ago", activation=0.9, stored_at=None, speaker=None):
    return Beat(
        anchor_id=uuid.uuid4(),
        text=text,
        perceived_age=age,
        activation=activation,
        stored_at=stored_at,
        meta={"speaker": speaker} if speaker else None,
    )


def stored(text, age, activation=0.9, speaker=None):
    """A beat as resonance sends it, with the moment it was stored at."""
    return beat(text, perceived_age(NOW - age, NOW), activation, NOW - age, speaker)


def test_nothing_to_tell_is_said_so():
    assert builtin_teller.tell([]) == "Nothing I remember is about that."
    assert builtin_teller.tell([beat("  \n")]) == "Nothing I remember is about that."


@pytest.mark.parametrize("activation", [0.2, 0.7, 0.95])
@pytest.mark.parametrize(
    "text",
    [
        "I am allergic to walnuts. My doctor is Els Maes.",
        "Don't ring before 9:15. The night nurse sleeps.",
        "I owe Piet 1350 euros for the roof.",
        "Locker 1776, code 0042.",
        "The permit runs out on 9 June 2131.",
        "I changed banks; the new account ends in 1918.",
        "Iris is our landlady.",
        "Frozen peas are in the cellar.",
        "Room: B12, second floor",
        "GET /v2/items returns 404 when the shelf is empty.",
        "vs. the other team we lost 3:10.",
        "If the alarm rings; leave by the back door.",
        "https://example.org/wiki/Übergabe?q=1 has the plan.",
        "Am 3. Mai 2024 kam um 10:30 Uhr der Bescheid.",
        "No sugar, no salt, never on Fridays.",
    ],
)
def test_a_short_memory_is_quoted_word_for_word(text, activation):
    assert text in builtin_teller.tell([beat(text, "5 months ago", activation)])


def test_how_sure_it_sounds_follows_activation_alone():
    text = "The ladder stands behind the barn."
    for age in ("yesterday", "2 weeks ago", "3 years ago", "who knows"):
        high, medium, low = (builtin_teller.tell([beat(text, age, a)]) for a in (0.85, 0.6, 0.59))
        assert "I think" not in high
        assert "dimly" not in high
        assert "I think" in medium
        assert "only dimly" in low


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("I repaired the gate with Wout.", "Two weeks ago I repaired the gate with Wout."),
        ("We baked two loaves for Noor.", "Two weeks ago we baked two loaves for Noor."),
        ("I repair gates with Wout.", "“I repair gates with Wout.”"),
        ("I repaired the gate yesterday.", "“I repaired the gate yesterday.”"),
        ("I repaired gates for ten years.", "“I repaired gates for ten years.”"),
        ("I repaired the gate when I was small.", "“I repaired the gate when I was small.”"),
        ("I repaired the gate in May 2019.", "“I repaired the gate in May 2019.”"),
        ("I repaired the gate; it is green.", "“I repaired the gate; it is green.”"),
        ("I grew up in Ghent.", "“I grew up in Ghent.”"),
        ("My sister baked a cake.", "“My sister baked a cake.”"),
    ],
)
def test_only_a_deed_that_cannot_be_of_another_time_is_joined_to_its_time(text, told):
    assert told in builtin_teller.tell([beat(text)])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("我对花生过敏。我住在上海。", "“我对花生过敏。我住在上海。”"),
        ("我住在上海", "“我住在上海”。"),
        ("私は京都に住んでいます", "「私は京都に住んでいます」。"),
        ("Я живу в Риге", "«Я живу в Риге»."),
        ("मैं दिल्ली में रहता हूँ", "“मैं दिल्ली में रहता हूँ”।"),
        ("أعيش في تونس", "«أعيش في تونس»."),
        ("She said “no” twice.", "‘She said “no” twice.’"),
        ("I read 'Emma' aloud", "“I read 'Emma' aloud”."),
    ],
)
def test_a_quotation_has_the_marks_of_its_own_script(text, told):
    assert builtin_teller.tell([beat(text)]).endswith(told)


def test_control_characters_are_shown_and_lines_stay_apart():
    told = builtin_teller.tell([beat("\x1b]0;title\x07\x9b2J\u202etxt.exe\n1. Mix\n2. Bake")])
    assert "“␛]0;title␇␛[2J\ufffdtxt.exe / 1. Mix / 2. Bake”." in told


def test_a_speaker_is_told_only_where_it_is_known_who_spoke():
    assert "Ann said: “I painted a lake.”" in builtin_teller.tell([beat("I painted a lake.", speaker="Ann")])
    assert "Ann said: “I like it.”" in builtin_teller.tell([beat("Ann: I like it.", speaker="Ann")])
    assert "Ann asked: “Is it far?”" in builtin_teller.tell([beat("Ann: Is it far?", speaker="Ann")])
    assert "“Ann: I like it.”" in builtin_teller.tell([beat("Ann: I like it.")])
    assert "Ann said: “I like it.”" in builtin_teller.tell([beat("Ann: I like it.")], "What did Ann like?")
    called = [beat("Ann: I like it."), beat("Ben: Thanks, Ann! I like it too.", "1 month ago")]
    assert "Ann said: “I like it.”" in builtin_teller.tell(called)


@pytest.mark.parametrize(
    "question",
    ["", "What is booked in Lisbon?", "Is Lisbon nice?", "Which Address is in Lisbon: booked in June?"],
)
def test_a_label_is_part_of_the_text(question):
    labels = [beat("Lisbon: flat booked for June"), beat("Address: Dorpsstraat 4", "1 month ago")]
    told = builtin_teller.tell([*labels, beat("I flew to Lisbon in March.", "2 months ago")], question)
    assert "“Lisbon: flat booked for June”" in told
    assert "said" not in told


def test_the_sentences_that_answer_are_told_whole_and_the_gaps_shown():
    filler = "The weather was grey and nobody wanted to go out at all. " * 5
    note = f"{filler}The barn key hangs under the third plank. {filler}"
    told = builtin_teller.tell([beat(note)], "Where is the barn key?")
    assert "The barn key hangs under the third plank." in told
    assert "…" in told
    assert len(told) <= 400


def test_a_short_sure_memory_is_told_whole_beside_long_ones():
    long = "I sorted the books by colour all day long and it rained. " * 20
    beats = [beat(long, "1 month ago", 1.2), beat("Ana is Jo's aunt. She hates lilies.", "2 months ago", 0.9)]
    told = builtin_teller.tell(beats)
    assert "Ana is Jo's aunt. She hates lilies." in told
    assert len(told) <= 400


def test_one_who_asks_when_is_told_the_day():
    when = datetime(2026, 5, 1, 23, 30, tzinfo=UTC)
    said = beat("I joined the choir yesterday.", "6 months ago", 0.9, when, "Ann")
    assert builtin_teller.tell([said], "When did Ann join the choir?", NOW) == (
        "On 1 May 2026 Ann said: “I joined the choir yesterday.”"
    )
    east = NOW.astimezone(datetime.fromisoformat("2026-01-01T00:00+02:00").tzinfo)
    assert "On 2 May 2026" in builtin_teller.tell([said], "When did Ann join the choir?", east)


@pytest.mark.parametrize(
    ("apart", "age", "same"),
    [
        (timedelta(hours=3), timedelta(days=9), True),
        (timedelta(days=2), timedelta(days=8), False),
        (timedelta(days=20), timedelta(days=400), True),
        (timedelta(days=200), timedelta(days=400), False),
    ],
)
def test_around_the_same_time_is_said_where_it_is_true(apart, age, same):
    beats = [stored("Tea is in the tin.", age, 0.9), stored("Jam is in the jar.", age + apart, 0.7)]
    assert ("same time" in builtin_teller.tell(beats)) is same
    unknown = [beat("Tea is in the tin.", "1 year ago", 0.9), beat("Jam is in the jar.", "1 year ago", 0.7)]
    assert "same time" not in builtin_teller.tell(unknown)


def test_the_story_goes_from_recent_to_old():
    told = builtin_teller.tell(
        [beat("The old bicycle is sold.", "3 years ago", 0.4), beat("The red bicycle squeaks.", "yesterday")]
    )
    assert told.index("red bicycle") < told.index("hree years ago") < told.index("old bicycle")


def test_five_memories_of_two_hundred_characters_stay_within_four_hundred():
    beats = [
        beat(f"Note {n}: " + "the fence is green and the hedge is high, " * 5, "2 weeks ago")
        for n in range(5)
    ]
    assert len(builtin_teller.tell(beats)) <= 400


WORDS = (
    "Ann:", "Address:", "I", "we", "went", "a train.", "Rome;", "late?", "14:30", "“so”", "1984", "not",
    "never", "[shares a photo of a dog]", "!", "https://example.org/a", "花生。", "Рига", "3.", "e.g.",
    "\x1b[31m", "\n", "No.", "repaired", "Dr.", "1 200", "don't", "yesterday", "…", "«", "」", "12 May 2025",
)  # fmt: skip
texts = st.text(min_size=1, max_size=1_500) | st.lists(st.sampled_from(WORDS), min_size=1, max_size=60).map(
    " ".join
)
any_age = st.timedeltas(timedelta(0), timedelta(days=9_000))
any_beats = st.lists(
    st.builds(
        beat,
        texts,
        any_age.map(lambda age: perceived_age(NOW - age, NOW)) | st.text(max_size=60),
        st.floats(0, 2.5),
        st.none() | any_age.map(lambda age: NOW - age),
        st.none() | st.sampled_from(["Ann", "Ben", "Zoë", "Long " * 300]),
    ),
    max_size=6,
)
questions = st.sampled_from(["", "When did Ann go to Rome?", "What do I never eat?", "How many trains?"])


@given(any_beats, questions)
def test_any_beats_give_a_story_within_400_characters_and_the_same_again(beats, question):
    told = builtin_teller.tell(beats, question, NOW)
    assert 0 < len(told) <= 400
    assert told == builtin_teller.tell(list(beats), question, NOW)
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e]", told)


KINDS = (
    templates.NOTED,
    templates.SAID,
    templates.HAPPENED,
    templates.NOTED_SOMETIME,
    templates.SAID_SOMETIME,
)
FRAMES = [
    *(frame for kind in KINDS for frames in kind.values() for frame in frames),
    *templates.ALL.values(),
    *templates.REST.values(),
    templates.ALSO,
    templates.SAME_TIME,
    templates.AND,
]
TEMPLATE_WORDS = set(re.findall(r"[^\W\d_]+", " ".join(FRAMES).lower()))
NEGATIONS = re.compile(r"\b(?:not|no|never|nothing|nobody|none|without|\w+n't)\b", re.IGNORECASE)


@given(any_beats, questions)
def test_no_digit_name_link_or_negation_is_told_that_nobody_said(beats, question):
    told = builtin_teller.tell(beats, question, NOW)
    said = " ".join(
        [
            question,
            *(visible(each.text) for each in beats),
            *((each.meta or {}).get("speaker", "") for each in beats),
        ]
    )
    for each in beats:  # what may be added: ages and dates
        for added in (ages.spoken(each.perceived_age), each.stored_at and prompt.date(each.stored_at, NOW)):
            if added:
                told = re.sub("(?:on )?" + re.escape(added), " ", told, flags=re.IGNORECASE)
    told = told.replace(templates.NOTHING, " ")
    assert all(number in said for number in re.findall(r"\d+", told))
    assert all(link.rstrip("”’»」』.。…") in said for link in re.findall(r"https?://\S+", told))
    assert all(word in said for word in NEGATIONS.findall(told))
    for word in re.findall(r"[^\W\d_]+", told):
        if word[0].isupper():
            assert word in said or word.lower() in TEMPLATE_WORDS


DAYS = (0, 1 / 1440, 1 / 36, 0.1, 0.9, 1, 2, 8, 20, 31, 90, 400, 6_000)
PHRASES = [perceived_age(NOW - timedelta(days=days), NOW) for days in DAYS] + [
    "last week", "a couple of days ago", "this morning", "the other day", "about two weeks ago", "5h",
    "3d ago",
    "half a year ago", "long ago", "", "just now.", "On Monday", "a year ago today", "over a decade ago",
    "1 hour ago",
]  # fmt: skip


@pytest.mark.parametrize("phrase", PHRASES)
@pytest.mark.parametrize("activation", [0.9, 0.7, 0.3])
def test_every_template_is_grammatical_with_every_age(phrase, activation):
    for asks in ("", "When was it?"):
        for number in range(6):
            beats = [
                beat(f"Plum {number} is ripe.", phrase, activation, None),
                beat("I repaired the gate.", phrase, activation, NOW - timedelta(days=700), None),
                beat("The jam is sweet", phrase, activation, NOW - timedelta(days=701), "Ann"),
                beat("Is it far?", phrase, activation, NOW - timedelta(days=1_000), "Ben"),
            ]
            for some in (beats[:1], beats[1:2], beats[2:3], beats[3:], beats[:2], beats[2:], beats):
                told = builtin_teller.tell(some, asks, NOW)
                outside = re.sub(r"“[^”]*”", "“”", told)
                assert not re.search(r"\b(\w+) \1\b", outside, re.IGNORECASE), told
                assert not re.search(
                    r"\b(?:from|on|in|at|was) (?:on|in|at|from|of)\b", outside.replace("was on", "")
                ), told
                assert not re.search(r"[.,:;]{2}|\s[.,:;]|  |\bNone\b|[{}]", outside), told
                assert re.match(r"[A-Z0-9]", told), told
                assert told.endswith((".", "!", "?", "”")), told
                assert all(
                    sentence[0].isupper() or sentence[0].isdigit()
                    for sentence in re.split(r"(?<=[.”]) ", outside)
                ), told


@pytest.mark.parametrize(
    "unit",
    [
        "last week ",
        "[shares ",
        "1",
        "12:",
        "I ",
        "oh, ",
        "“",
        "yesterday ",
        ".",
        "a ",
        "a. ",
        "。",
        "a: ",
        "/\n",
    ],
)
def test_no_text_takes_long(unit):
    beats = [beat((unit * 10_000)[:10_000], unit * 1_000, activation) for activation in (0.9, 0.7, 0.3)]
    began = time.process_time()
    builtin_teller.tell(beats, unit * 50)
    prompt.prompt(beats)
    assert time.process_time() - began < 5  # minutes, where a pattern backtracks
