"""The sparse vectors of anchors."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vhm.memory.anchor_terms import sparse_vector, speaker_mark, turn_terms
from vhm.memory.tokenizer import stem, stems, tokens

SAID = datetime(2023, 6, 9, tzinfo=UTC)
texts = st.text(max_size=200) | st.lists(
    st.sampled_from(["pottery", "I", "went.", "did", "You?", "Ana:", "我去了青城山。", "in May 2023", "\n"]),
    max_size=300,
).map(" ".join)


def own(text, named=None, said=SAID):
    return turn_terms(text, said, named).own


def test_a_rarer_longer_text_weighs_as_bm25_says():
    damping = 1.2 * (0.7 + 0.3 * 2 / 20)
    assert own("walnut tea, tea")["walnut"] == pytest.approx(2.2 / (1 + 1.2 * (0.7 + 0.3 * 3 / 20)))
    assert own("walnut tea")["tea"] == pytest.approx(2.2 / (1 + damping))


def test_the_date_is_that_of_the_moments_own_offset_and_makes_a_text_no_longer():
    midnight = datetime(2023, 6, 9, 23, 30, tzinfo=timezone(timedelta(hours=-3)))
    assert {"june", "9", "2023"} <= own("tea", said=midnight).keys()
    assert {"june", "10", "2023"} <= own("tea", said=midnight.astimezone(UTC)).keys()
    assert own("tea")["tea"] == own("tea", said=midnight)["tea"]


@pytest.mark.parametrize(
    ("text", "halved"),
    [
        ("Do you like pottery?", True),
        ("Ana: Do you like pottery?", True),
        ("Nice! Do you like pottery? Bye.", True),
        ('"Do you like pottery?"', True),
        ("你喜欢 pottery 吗？", True),
        ("Do you like pottery", False),
        ("Shall I do pottery?", False),
        ("Should we've done pottery?", False),
        ("Pottery! Do you like pottery?", False),
        ("Do you like pottery? I love pottery.", False),
    ],
)
def test_a_word_that_is_only_asked_of_others_weighs_half(text, halved):
    term = stem("pottery")
    turn = turn_terms(text, SAID)
    assert turn.own[term] == pytest.approx(turn.context[term] * (0.5 if halved else 1.0))


def test_marks_name_the_speaker_and_say_that_a_time_is_told():
    vector = own("Ana: I went there last week.")
    assert vector[speaker_mark("ana")] == 0.5
    assert vector["when:"] == 1.0
    assert own("hi", "Ana Sá")[speaker_mark("sá")] == 0.5
    assert not any(":" in term for term in own("Address: Mill Lane"))


def test_words_of_the_turns_before_fade_and_the_greater_counts():
    before = [turn_terms(f"Ana: {word}", SAID) for word in ("walnut tea", "copper", "velvet", "bronze")]
    vector = sparse_vector(turn_terms("tea", SAID), before)
    walnut, copper, velvet = (
        before[0].context["walnut"],
        before[1].context["copper"],
        before[2].context["velvet"],
    )
    assert vector["walnut"] == pytest.approx(0.6 * walnut)
    assert vector["copper"] == pytest.approx(0.36 * copper)
    assert vector["velvet"] == pytest.approx(0.216 * velvet)
    assert vector["tea"] == turn_terms("tea", SAID).own["tea"]
    assert "bronz" not in vector
    assert "ana" not in vector
    assert speaker_mark("ana") not in vector


def test_what_was_asked_counts_in_full_for_the_answer():
    asked = turn_terms("Ana: Do you like pottery?", SAID)
    answer = sparse_vector(turn_terms("Ben: Yes!", SAID), [asked])
    term = stem("pottery")
    assert answer[term] == pytest.approx(0.6 * asked.context[term])
    assert answer[term] > asked.own[term]


@pytest.mark.parametrize("parts", [0, 1, 3, 6, 12, 25, 50, 300])
@pytest.mark.parametrize("last", [True, False])
def test_a_fact_in_a_long_note_weighs_about_as_much_as_in_a_short_one(parts, last):
    filler = [f"In part {i} of that volume they spoke of the colour of the fence." for i in range(parts)]
    fact = ["The walnut key is under the plank."]
    text = " ".join([*filler, *fact] if last else [*fact, *filler])
    assert own(text)["walnut"] >= 0.7 * own(fact[0])["walnut"]


def test_a_passage_is_not_one_word_shorter_for_a_sentence_without_an_end():
    words = " ".join(f"word{i}" for i in range(500))
    assert own(words)["word0"] == pytest.approx(own(" ".join(words.split()[:60]))["word0"])


@given(st.lists(st.integers(1, 90), min_size=1, max_size=30))
def test_a_long_text_has_every_word_of_its_sentences_at_least_as_in_a_long_passage(lengths):
    sentences = [[f"word{number}x{i}" for i in range(length)] for number, length in enumerate(lengths)]
    vector = own(" ".join(" ".join(sentence) + "." for sentence in sentences))
    least = 2.2 / (1 + 1.2 * (0.7 + 0.3 * 120 / 20))
    for sentence in sentences:
        for word in sentence:
            assert vector[stem(word)] >= least - 1e-9


@given(texts, st.none() | st.text(max_size=20))
def test_every_stem_of_a_text_has_a_positive_weight_in_it(text, named):
    turn = turn_terms(text, SAID, named)
    assert all(0 < weight <= 2.2 for weight in turn.own.values())
    for term, weight in turn.context.items():
        assert turn.own[term] in (weight, 0.5 * weight)
    if not named:
        assert set(stems(tokens(text))) <= turn.own.keys() | {"may"}


@given(texts, st.lists(texts, max_size=5))
def test_turns_before_only_add_and_the_first_three_alone(text, before):
    turn, earlier = turn_terms(text, SAID), [turn_terms(one, SAID) for one in before]
    vector = sparse_vector(turn, earlier)
    assert all(vector[term] >= weight for term, weight in turn.own.items())
    assert vector == sparse_vector(turn, earlier[:3])
    assert sparse_vector(turn) == turn.own


@given(texts)
def test_the_same_turn_gives_the_same_terms_whatever_its_script_was_encoded_as(text):
    again = json.loads(json.dumps(text))
    assert turn_terms(text, SAID) == turn_terms(again, SAID)
