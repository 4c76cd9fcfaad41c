"""Turns that count for one another."""

from __future__ import annotations

import itertools
import uuid
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from vhm.memory.session_context import DEPTH, LONGEST_PAUSE, following, preceding

START = datetime(2026, 5, 1, 12, tzinfo=UTC)
places = st.tuples(
    st.sampled_from([0, 20, 20, 3_600, 3_620, 7_220, 7_221, 12_000]).map(
        lambda seconds: START + timedelta(seconds=seconds)
    ),
    st.integers(0, 40).map(lambda number: uuid.UUID(int=number)),
)
sessions = st.lists(places, unique_by=lambda place: place[1], max_size=12).map(sorted)


def at(minutes, number):
    return START + timedelta(minutes=minutes), uuid.UUID(int=number)


def test_the_three_before_within_the_hour_of_the_next():
    session = [at(0, 1), at(50, 2), at(100, 3), at(150, 4), at(151, 5)]
    assert preceding(session, session[4]) == [session[3], session[2], session[1]]
    assert preceding(session, session[0]) == []
    assert preceding([at(0, 1), at(61, 2), at(62, 3)], at(62, 3)) == [at(61, 2)]
    assert preceding([at(0, 1), at(60, 2)], at(60, 2)) == [at(0, 1)]


def test_of_turns_in_the_same_instant_the_smaller_id_is_before():
    session = [at(0, 1), at(0, 2), at(0, 3)]
    assert preceding(session, session[2]) == [session[1], session[0]]
    assert following(session, session[0]) == [session[1], session[2]]


@given(sessions)
def test_one_follows_another_if_that_precedes_it(session):
    for place in session:
        assert len(preceding(session, place)) <= DEPTH
        for other in session:
            assert (other in preceding(session, place)) == (place in following(session, other))


@given(sessions, places)
def test_when_a_turn_comes_or_goes_only_what_follows_it_changes(session, place):
    without = [other for other in session if other != place]
    with_it = sorted([*without, place])
    changed = [other for other in without if preceding(without, other) != preceding(with_it, other)]
    assert following(without, place) == following(with_it, place)
    assert set(changed) == set(following(with_it, place))


@given(sessions)
def test_the_turns_before_are_a_chain_without_a_long_pause(session):
    for place in session:
        chain = [place, *preceding(session, place)]
        assert chain == sorted(chain, reverse=True)
        assert all(later[0] - earlier[0] <= LONGEST_PAUSE for later, earlier in itertools.pairwise(chain))
