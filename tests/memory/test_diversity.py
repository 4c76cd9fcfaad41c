"""Diversity: the rule of the model against a plain reading of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vhm.memory.diversity import select_diverse


def unit(rows):
    vectors = np.asarray(rows, dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_different_memories_are_all_chosen_strongest_first():
    assert select_diverse(np.eye(4, dtype=np.float32).__getitem__, list("abcd"), 3, 0.85).chosen == [0, 1, 2]


def test_a_repeated_text_never_comes_twice_even_to_fill():
    choice = select_diverse(np.eye(3, dtype=np.float32).__getitem__, ["Tea", "  tea ", "cake"], 3, 0.85)
    assert choice.chosen == [0, 2]
    assert (choice.left_out[1].why, choice.left_out[1].of) == ("repeats", 0)


def test_one_that_resembles_gives_way_to_a_weaker_other():
    vectors = unit([[1, 0], [0.99, 0.1], [0, 1]])
    choice = select_diverse(vectors.__getitem__, ["a", "b", "c"], 2, 0.85)
    assert choice.chosen == [0, 2]
    assert (choice.left_out[1].why, choice.left_out[1].of) == ("resembles", 0)
    assert choice.left_out[1].cosine == pytest.approx(0.995, abs=0.001)


def test_the_best_of_those_that_resemble_fill_the_list_in_order_of_strength():
    vectors = unit([[1, 0], [0.99, 0.1], [0.98, 0.1], [0, 1]])
    assert select_diverse(vectors.__getitem__, list("abcd"), 3, 0.85).chosen == [0, 1, 3]


def test_equal_vectors_resemble_at_threshold_one():
    vector = np.full((2, 3), 1 / np.sqrt(3), dtype=np.float32)
    assert select_diverse(vector.__getitem__, ["a", "b"], 1, 1.0).chosen == [0]
    vectors = np.vstack([vector, np.eye(1, 3, dtype=np.float32)])
    assert select_diverse(vectors.__getitem__, list("abc"), 2, 1.0).chosen == [0, 2]


def test_no_candidates():
    assert select_diverse(np.empty((0, 8), dtype=np.float32).__getitem__, [], 3, 0.85).chosen == []


def reference(vectors, texts, limit, threshold):
    """The rule as one would say it."""
    chosen, spare = [], []
    for i, text in enumerate(texts):
        if any(text.strip().lower() == texts[j].strip().lower() for j in chosen):
            continue
        if any(vectors[i] @ vectors[j] >= threshold - 1e-6 for j in chosen):
            spare.append(i)
        elif len(chosen) < limit:
            chosen.append(i)
    for i in spare:
        if len(chosen) < limit and all(texts[i].strip().lower() != texts[j].strip().lower() for j in chosen):
            chosen.append(i)
    return sorted(chosen)


candidates = st.lists(
    st.tuples(
        st.sampled_from(["tea", "Tea ", "cake", "rain", "snow", "sun"]),
        st.tuples(*[st.integers(-3, 3)] * 3).filter(any),
    ),
    max_size=12,
)


@given(candidates, st.integers(1, 8), st.sampled_from([0.0, 0.3, 0.85, 0.95, 1.0]))
def test_the_choice_is_that_of_the_plain_rule_and_every_other_has_its_reason(found, limit, threshold):
    texts = [text for text, _ in found]
    vectors = unit([vector for _, vector in found]) if found else np.empty((0, 3), dtype=np.float32)
    choice = select_diverse(vectors.__getitem__, texts, limit, threshold)
    assert choice.chosen == reference(vectors, texts, limit, threshold)
    assert sorted([*choice.chosen, *choice.left_out]) == list(range(len(found)))
    assert len({texts[i].strip().lower() for i in choice.chosen}) == len(choice.chosen) <= limit
