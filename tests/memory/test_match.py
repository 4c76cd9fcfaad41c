"""How well memories fit a question, from the texts on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vhm.memory import match
from vhm.memory.activation import activation, base_level
from vhm.memory.anchor_terms import sparse_vector, turn_terms
from vhm.memory.inverted_index import InvertedIndex
from vhm.memory.question import question
from vhm.memory.tokenizer import stems, tokens

NOW = datetime(2026, 11, 24, 15, tzinfo=UTC)
SAID = datetime(2023, 6, 9, tzinfo=UTC)
told = st.lists(
    st.sampled_from(
        ["pottery", "walnut", "I", "went", "Ana:", "我去了青城山。", "in", "May", "2023", "to", "9"]
    ),
    min_size=1,
    max_size=20,
).map(" ".join)


def matches(asked, texts, meaning, said=SAID, now=NOW):
    """Match of each text said at one moment, its calibrated cosine given."""
    index = InvertedIndex()
    for row, text in enumerate(texts):
        index.put(row, sparse_vector(turn_terms(text, said)))
    query = question(asked, now)
    scores = index.scores(query.weights, len(texts))
    share = match.words_share(scores, query.self_score(index.idf))
    moments = np.full(len(texts), said.timestamp())
    in_period = match.said_in(query.period, moments) if query.period else None
    return match.match(np.array(meaning, dtype=float), share, in_period)


@given(st.lists(told, max_size=5), told)
def test_a_statement_asked_for_verbatim_said_now_at_salience_one_has_activation_one(others, text):
    texts = [text, *others]
    fit = matches(text, texts, [1.0] + [0.0] * len(others), said=NOW)
    similar = match.similarity(fit)
    assert activation(similar, base_level(np.zeros(len(texts)), np.ones(len(texts))))[0] == pytest.approx(1.0)


@given(
    st.lists(st.text(max_size=60) | told, min_size=1, max_size=6),
    st.text(max_size=60) | told,
    st.floats(0, 1),
)
def test_match_and_similarity_are_within_bounds(texts, asked, meaning):
    fit = matches(asked, texts, [meaning] * len(texts))
    assert ((fit >= 0) & (fit <= 1)).all()
    similar = match.similarity(fit)
    assert ((similar >= 0) & (similar <= 1)).all()
    assert (similar >= fit).all()


def test_a_question_without_words_is_answered_by_meaning():
    assert list(matches("Who are you?", ["tea", "walnut"], [0.9, 0.2])) == [0.9, 0.2]


@pytest.mark.parametrize(
    ("asked", "stronger", "weaker"),
    [
        ("When did she paint?", "A lake, last May.", "A lake."),
        ("what did ann paint?", "Ann: A lake.", "Ben: A lake!"),
        ("What did Ann's dog eat?", "Ann Smith: A shoe.", "A shoe."),
        ("花生过敏", "我对花生过敏。", "妈妈的生日。"),
        ("What did she do on 9 June 2023?", "A lake.", ""),
    ],
)
def test_words_names_and_times_in_the_question_count(asked, stronger, weaker):
    fit = matches(asked, [stronger, weaker, "A bowl."], [0.5, 0.5, 0.5])
    assert fit[0] > fit[1] or not weaker


def test_what_was_said_in_the_period_is_raised_by_a_tenth_of_what_it_lacks():
    raised = match.match(np.array([0.5, 0.5]), None, np.array([True, False]))
    assert list(raised) == [0.55, 0.5]
    week_ago = NOW - timedelta(days=7)
    fit = matches("What did she paint last week?", ["A lake."], [0.5], said=week_ago)
    assert fit[0] > matches("What did she paint last week?", ["A lake."], [0.5])[0]


def test_a_question_weighs_its_stems_alone_against_itself():
    asked = question("When did Ana go to Ghent?", NOW)
    assert asked.self_score(lambda term: 1.0) == pytest.approx(
        sum(asked.terms.weights()[term] for term in set(stems(tokens("When did Ana go to Ghent?"))))
    )
    assert {"when:", "by:ana", "by:ghent"} <= asked.weights.keys()
    assert set(asked.weights.values()) == {1.0}


@given(st.lists(st.floats(0, 1), min_size=2, max_size=2))
def test_similarity_keeps_the_order_of_matches(fits):
    low, high = match.similarity(np.array(sorted(fits)))
    assert low <= high
    assert list(match.similarity(np.array([0.0, 0.75, 1.0]))) == [0.0, 0.85, 1.0]


@pytest.mark.parametrize(
    ("memories", "least"), [(500, 0.33), (5_000, 0.39), (50, 0.27), (0, 0.33 - 0.06 * np.log10(500))]
)
def test_the_floor_rises_with_the_memories(memories, least):
    assert match.floor(0.33, memories) == pytest.approx(least)


@given(st.integers(0, 10**9))
def test_no_floor_is_none_whatever_the_size(memories):
    assert match.floor(0.0, memories) == 0.0
    assert 0 <= match.floor(0.05, memories) <= 1


def test_weak_is_what_is_far_from_the_best_in_both():
    fit, cosines = np.array([0.8, 0.3, 0.3, 0.5]), np.array([0.9, 0.2, 0.6, 0.1])
    assert list(match.weak(fit, cosines)) == [False, True, False, False]
    assert not len(match.weak(fit[:0], cosines[:0]))
