"""Hybrid recall's pure parts: words, the blend, and neighbours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vhm.memory import bm25, similarity
from vhm.memory.inverted_index import Lexicon
from vhm.memory.tokenizer import words

NOW = datetime(2026, 11, 24, 15, tzinfo=UTC)
SAID = datetime(2023, 5, 8, 13, 56, tzinfo=UTC)
texts = st.lists(
    st.sampled_from(
        [
            "Ann",
            "went",
            "to",
            "the",
            "pottery",
            "class",
            "in",
            "May",
            "2023",
            "yesterday",
            "trains",
            "training",
        ]
    )
).map(" ".join)


def relevance(query, anchors):
    lexicon = Lexicon()
    lexicon.extend((text, SAID) for text in anchors)
    return lexicon.relevance(bm25.terms(words(query)))


def test_rare_words_weigh_more_and_forms_of_a_word_are_one():
    anchors = ["I was training for a race", "Ann likes tea", "Ann likes cake", "Ann likes pie"]
    scores = relevance("Does Ann like trains?", anchors)
    assert 1 > scores[0] > scores[1] == scores[2] > 0
    assert relevance("trained", anchors)[0] > 0


def test_the_words_of_the_date_are_found():
    assert (
        relevance("pottery on 8 May 2023", ["pottery"])[0]
        > relevance("pottery on 9 June 2022", ["pottery"])[0]
    )


@given(st.lists(texts, min_size=1, max_size=6), texts)
def test_relevance_is_a_share_an_exact_match_is_whole_and_the_lexicon_agrees_with_the_formula(anchors, query):
    anchors = [*anchors, query]
    lexicon = Lexicon()
    lexicon.extend((text, SAID) for text in anchors)
    asked = bm25.terms(words(query))
    scores = lexicon.relevance(asked)
    assert ((scores >= 0) & (scores <= 1)).all()
    assert scores[-1] == pytest.approx(1.0 if asked.counts else 0.0)
    for text, score in zip(anchors, scores, strict=True):
        weights = bm25.terms(words(text), SAID).weights()
        assert score == pytest.approx(bm25.Measure(asked, lexicon.rarity).relevance(weights), abs=1e-6)


def blended(query, meaning, wording, anchors):
    asked = similarity.question(query, NOW)
    return similarity.blended(
        asked,
        np.array(meaning),
        np.array(wording),
        similarity.told(asked, [similarity.read(*one) for one in anchors]),
    )


def test_an_exact_match_is_one_and_nothing_is_above():
    for query in ("What?", "When did Ann paint last week?"):
        own = blended(
            query, [1.0, 0.5, 0.0], [1.0, 0.5, 0.0], [("Ann: Today.", NOW), ("Ann: So?", NOW), ("", SAID)]
        )
        assert own[0] == 1.0
        assert 0 <= own[2] <= own[1] < 1


@pytest.mark.parametrize(
    ("query", "stronger", "weaker"),
    [
        ("What did she paint last week?", ("A lake.", NOW - timedelta(days=7)), ("A lake.", SAID)),
        ("When did she paint?", ("A lake, last May.", SAID), ("A lake.", SAID)),
        ("what did ann paint?", ("Ann: A lake.", SAID), ("Ben: Ann, a lake!", SAID)),
        ("What did Ann's dog eat?", ("Ann Smith: A shoe.", SAID), ("A shoe.", SAID)),
    ],
)
def test_time_and_names_in_the_question_count(query, stronger, weaker):
    own = blended(query, [0.5, 0.5], [0.2, 0.2], [stronger, weaker])
    assert own[0] > own[1]


@given(
    st.lists(texts | st.sampled_from(["Ann: Hi", "Ben Bo: In 2022!"]), max_size=5),
    st.sampled_from(["", "Ann", "Ben"]),
)
def test_the_lexicon_knows_of_many_what_is_told_of_few(told, query):
    lexicon = Lexicon()
    anchors = [(text, SAID) for text in told]
    lexicon.extend(anchors)
    asked = similarity.question(query, NOW)
    few, many = similarity.told(asked, [similarity.read(*one) for one in anchors]), lexicon.told(asked)
    for column in ("moments", "tell_time", "by_named"):
        assert list(getattr(few, column)) == list(getattr(many, column))


turns = st.lists(
    st.tuples(st.integers(-1, 2), st.sampled_from([0.0, 20.0, 40.0, 3_000.0, 9_000.0]), st.floats(0, 1)),
    max_size=12,
)


@given(turns)
def test_neighbours_are_what_was_said_just_before_and_after_in_the_same_session(told):
    sessions, moments, own = ([one[i] for one in told] for i in range(3))
    found = similarity.Order(np.array(sessions, dtype=np.int64), np.array(moments)).strongest(np.array(own))
    for row, (session, moment, _) in enumerate(told):
        times = sorted({m for s, m, _ in told if s == session >= 0})
        near = [m for m in times if m != moment and abs(m - moment) <= 3_600]
        around = {
            max((m for m in near if m < moment), default=None),
            min((m for m in near if m > moment), default=None),
        }
        values = [v for s, m, v in told if s == session >= 0 and m in around]
        assert found[row] == max(values, default=0.0)


pairs = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1)


@given(pairs)
def test_a_neighbour_only_lifts_and_nothing_is_above_one(told):
    own, neighbour = (np.array(column) for column in zip(*told, strict=True))
    raised = similarity.lifted(own, neighbour)
    assert (raised >= similarity.lifted(own, np.zeros_like(own))).all()
    assert (raised <= similarity.lifted(np.maximum(own, neighbour), np.zeros_like(own)) + 1e-12).all()
    assert ((raised >= 0) & (raised <= 1)).all()


@given(st.lists(st.floats(0, 1), min_size=2, max_size=2))
def test_similarity_keeps_the_order_and_an_exact_match_is_one(own):
    low, high = similarity.lifted(np.array(sorted(own)), np.zeros(2))
    assert low <= high
    assert list(similarity.lifted(np.array([0.0, 0.75, 1.0]), np.zeros(3))) == [0.0, 0.85, 1.0]
