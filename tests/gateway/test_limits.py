"""How much one caller may ask for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vhm.gateway.limits import MOST_CALLERS, RateLimit


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@given(
    st.integers(1, 600),
    st.lists(st.tuples(st.floats(0, 20), st.sampled_from("ab"), st.integers(1, 700)), max_size=60),
)
def test_no_caller_gets_more_than_its_bucket_and_what_ran_into_it(
    per_minute: int, asks: list[tuple[float, str, int]]
) -> None:
    clock = Clock()
    limit = RateLimit(per_minute, clock)
    taken = {"a": 0, "b": 0}
    for pause, caller, count in asks:
        clock.now += pause
        wait = limit.take(caller, count)
        if not wait:
            taken[caller] += min(count, per_minute)
        assert taken[caller] <= per_minute * (1 + clock.now / 60) + 1e-6
        if wait:  # what it says is enough, and less is not
            clock.now += wait + 1e-6
            assert limit.take(caller, count) == 0
            taken[caller] += min(count, per_minute)


def test_one_caller_s_haste_is_not_another_s() -> None:
    limit = RateLimit(2, Clock())
    assert [limit.take("a"), limit.take("a"), limit.take("a")] == [0, 0, 30]
    assert limit.take("b") == 0


def test_who_is_not_heard_of_for_longest_is_forgotten_first() -> None:
    limit = RateLimit(1, Clock())
    for number in range(MOST_CALLERS + 1):
        limit.take(str(number))
    assert limit.exhausted("0") == 0
    assert limit.exhausted("1") > 0
