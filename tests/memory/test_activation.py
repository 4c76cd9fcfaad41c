"""Activation: the published formula, and what follows from it."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vhm.memory.activation import activation, age_days, decay

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ages = st.floats(0, 100_000)
moments = st.datetimes(datetime(1900, 1, 1), datetime(2200, 12, 31), timezones=st.just(UTC))


def test_a_perfect_match_said_now_at_salience_one_scores_one():
    assert activation(1.0, age_days(NOW, NOW), 1.0) == 1.0


def test_the_published_figure_for_a_year():
    assert activation(0.9, 365.0, 1.5) == pytest.approx(0.9 * math.exp(-0.73) * 1.5)


def test_half_is_forgotten_after_347_days():
    assert decay(math.log(2) / 0.002) == pytest.approx(0.5)


def test_age_counts_fractions_and_offsets():
    stored = datetime(2026, 5, 1, 8, tzinfo=timezone(timedelta(hours=2)))
    assert age_days(stored, NOW) == pytest.approx(0.25)


@given(moments, moments)
def test_age_is_never_negative(stored_at, now):
    assert age_days(stored_at, now) >= 0
    assert age_days(stored_at, now) == 0 or age_days(now, stored_at) == 0


@given(st.floats(0, 1), ages, ages, st.floats(0.3, 2.5), st.floats(0, 1))
def test_older_is_never_stronger_and_more_salient_never_weaker(similarity, one, other, salience, rate):
    young, old = sorted((one, other))
    assert activation(similarity, old, salience, rate) <= activation(similarity, young, salience, rate)
    assert activation(similarity, old, salience, rate) <= activation(similarity, old, 2.5, rate) + 1e-12


@given(ages)
def test_without_forgetting_age_does_not_matter(age):
    assert decay(age, 0.0) == 1.0
