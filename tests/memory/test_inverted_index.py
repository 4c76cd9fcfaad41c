"""Sparse vectors in memory against sums over all of them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vhm.memory.inverted_index import InvertedIndex

terms = st.sampled_from("abcde")
vectors = st.dictionaries(terms, st.floats(0.125, 3, width=32))
changes = st.lists(st.tuples(st.integers(0, 7), st.none() | vectors), max_size=30)


@given(changes, vectors)
def test_scores_and_rarities_are_those_of_the_vectors_put_last(changes, question):
    index, held = InvertedIndex(), {}
    for row, vector in changes:
        if vector is None:
            index.remove(row)
            held.pop(row, None)
        else:
            index.put(row, vector)
            held[row] = vector
    assert len(index) == len(held)
    rarity = {}
    for term in "abcde":
        holding = sum(term in vector for vector in held.values())
        rarity[term] = math.log(1 + (len(held) - holding + 0.5) / (holding + 0.5))
        assert index.idf(term) == pytest.approx(rarity[term])
    scores = index.scores(question, 8)
    for row in range(8):
        vector = held.get(row, {})
        expected = sum(weight * vector.get(term, 0) * rarity[term] for term, weight in question.items())
        assert scores[row] == pytest.approx(expected)


@given(changes)
def test_the_order_of_changes_to_different_rows_makes_no_difference(changes):
    last = dict(changes)
    index, again = InvertedIndex(), InvertedIndex()
    for row, vector in changes:
        index.remove(row) if vector is None else index.put(row, vector)
    for row in sorted(last, reverse=True):
        if (vector := last[row]) is not None:
            again.put(row, vector)
    question = dict.fromkeys("abcde", 1.0)
    assert list(index.scores(question, 8)) == pytest.approx(list(again.scores(question, 8)))
