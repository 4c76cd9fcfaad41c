"""Activation: the published formula and what follows from it, and how little age and salience decide."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vhm.memory.activation import activation, age_days, base_level, decay

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ages = st.floats(0, 100_000)
saliences = st.floats(0.3, 2.5)
moments = st.datetimes(datetime(1900, 1, 1), datetime(2200, 12, 31), timezones=st.just(UTC))


def activated(similarity, age, salience, rate=0.002, weight=0.2):
    base = base_level(np.array([age]), np.array([salience]), rate)
    return float(activation(np.array([similarity]), base, weight)[0])


def test_a_perfect_match_said_now_at_salience_one_scores_one():
    assert activated(1.0, age_days(NOW, NOW), 1.0) == 1.0


def test_the_published_figure_for_a_year():
    assert activated(0.9, 365.0, 1.5, weight=1.0) == pytest.approx(0.9 * math.exp(-0.73) * 1.5)


def test_a_year_costs_what_an_eighth_of_the_match_is_worth_and_double_salience_gives_it_back():
    assert activated(1.0, 365.0, 1.0) == pytest.approx(0.864, abs=1e-3)
    assert activated(1.0, 365.0, 2.0) == pytest.approx(0.993, abs=1e-3)
    assert activated(1.0, 0.0, 2.5) == pytest.approx(1.2, abs=2e-3)


def test_half_is_forgotten_after_347_days():
    assert decay(math.log(2) / 0.002) == pytest.approx(0.5)


def test_age_counts_fractions_and_offsets():
    stored = datetime(2026, 5, 1, 8, tzinfo=timezone(timedelta(hours=2)))
    assert age_days(stored, NOW) == pytest.approx(0.25)


@pytest.mark.parametrize("odd", [-1.0, math.nan, -math.inf])
def test_a_salience_that_is_none_gives_nothing(odd):
    assert activated(1.0, 0.0, odd) == 0.0


@given(st.floats(allow_nan=False))
def test_no_salience_lifts_a_memory_above_what_anchors_may_have(salience):
    assert 0.0 <= activated(1.0, 0.0, salience) <= 2.5**0.2


@given(moments, moments)
def test_age_is_never_negative(stored_at, now):
    assert age_days(stored_at, now) >= 0
    assert age_days(stored_at, now) == 0 or age_days(now, stored_at) == 0


@given(st.floats(0, 1), ages, ages, saliences, st.floats(0, 1), st.floats(0, 1))
def test_older_is_never_stronger_and_more_salient_never_weaker(
    similarity, one, other, salience, rate, weight
):
    young, old = sorted((one, other))
    weak = activated(similarity, old, salience, rate, weight)
    assert weak <= activated(similarity, young, salience, rate, weight)
    assert weak <= activated(similarity, old, 2.5, rate, weight) + 1e-12


@given(ages, saliences)
def test_base_levels_of_columns_are_those_of_each(age, salience):
    assert base_level(np.array([age]), np.array([salience]))[0] == pytest.approx(decay(age) * salience)


@given(ages)
def test_without_forgetting_age_does_not_matter(age):
    assert decay(age, 0.0) == 1.0
