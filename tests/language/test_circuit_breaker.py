"""The circuit breaker: who keeps failing is left alone for a while, and tried by one call after it."""

from __future__ import annotations

from vhm.language.circuit_breaker import FIRST_PAUSE, LONGEST_PAUSE, CircuitBreaker


class Clock:
    now = 1_000.0

    def __call__(self):
        return self.now


def paused():
    clock = Clock()
    breaker = CircuitBreaker(clock)
    for _ in range(3):
        assert breaker.allows()
        breaker.failed("it broke")
    return breaker, clock


def test_three_failures_in_a_row_pause_it_and_the_state_says_why():
    breaker, clock = paused()
    assert not breaker.allows()
    assert breaker.state() == "passed over for 30 s more; last failure: it broke"
    clock.now += FIRST_PAUSE - 1
    assert not breaker.allows()


def test_a_success_between_failures_forgives_them():
    breaker = CircuitBreaker()
    for _ in range(5):
        breaker.failed("it broke")
        breaker.failed("it broke")
        breaker.succeeded()
        assert breaker.allows()
    assert breaker.state() == "in use"


def test_after_the_pause_one_call_tries_it_and_the_others_wait():
    breaker, clock = paused()
    clock.now += FIRST_PAUSE
    assert breaker.state().startswith("passed over until the next retelling tries it")
    assert breaker.allows()
    assert not breaker.allows()
    breaker.succeeded()
    assert breaker.allows()
    assert breaker.allows()


def test_each_pause_is_longer_up_to_a_bound():
    breaker, clock = paused()
    lengths = []
    for _ in range(6):
        until = clock.now
        while not breaker.allows():
            clock.now += 1
        lengths.append(clock.now - until)
        breaker.failed("still broken")
    assert lengths == [30, 60, 120, 240, 300, 300]
    assert max(lengths) == LONGEST_PAUSE


def test_a_trial_given_up_lets_the_next_one_try():
    breaker, clock = paused()
    clock.now += FIRST_PAUSE
    assert breaker.allows()
    breaker.abandoned()
    assert breaker.allows()


def test_it_is_left_alone_as_long_as_it_asks():
    clock = Clock()
    breaker = CircuitBreaker(clock)
    breaker.failed("429: over its quota", 7)
    clock.now += 6.9
    assert not breaker.allows()
    clock.now += 0.1
    assert breaker.allows()


def test_late_failures_of_calls_made_before_the_pause_do_not_lengthen_it():
    breaker, clock = paused()
    for _ in range(20):
        breaker.failed("it broke")
    clock.now += FIRST_PAUSE
    assert breaker.allows()
