"""SIGKILL at every step of a record's way: nothing lost, nothing repeated but what was just done."""

from __future__ import annotations

import pytest

from broker.conftest import Show
from broker.crash import REPEATED_SECONDS, crash
from broker.crashing_worker import STEPS
from broker.kafka import Kafka

BUSY_SECONDS = 1.75
"""What a busy machine may add: commits are due every 0.2 s, but threads have to get their turn."""


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("step", STEPS)
def test_a_kill_loses_nothing_and_repeats_only_the_last_moment(kafka: Kafka, step: str, show: Show) -> None:
    kafka.wipe()
    result = crash(kafka.address, step, rounds=3)
    show(result)
    assert result.sent > 1_000
    assert result.lost == 0
    assert result.oldest_repeat < REPEATED_SECONDS + BUSY_SECONDS
