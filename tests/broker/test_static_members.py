"""Static membership (group.instance.id), which is not offered as a setting: what it would give and take.

See `vhm.runtime.kafka_config.consumer_config` for why members are dynamic.
"""

from __future__ import annotations

import time

import pytest

from broker.conftest import Show
from broker.crash import Load, Process, account
from broker.harness import Client, until
from broker.kafka import Kafka

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SESSION_SECONDS = 6.0
"""Of both protocols on the tests' broker."""


def member(kafka: Kafka, name: str, protocol: str = "classic") -> Process:
    return Process(kafka.address, VHM_TEST_INSTANCE=name, KAFKA_GROUP_PROTOCOL=protocol)


def events(process: Process, *names: str) -> list[dict[str, object]]:
    return [line for line in process.lines() if line["event"] in names]


def owned(process: Process) -> set[str]:
    """The partitions it was given and not asked back."""
    mine: set[str] = set()
    for line in events(process, "assigned", "revoked", "lost"):
        partitions = {str(each) for each in line["partitions"]}  # type: ignore[attr-defined]
        mine = mine | partitions if line["event"] == "assigned" else mine - partitions
    return mine


@pytest.mark.parametrize(
    ("protocol", "how"), [("classic", "stopped"), ("classic", "killed"), ("consumer", "stopped")]
)
def test_a_static_member_that_comes_back_gets_its_partitions_and_disturbs_nobody(
    kafka: Kafka, protocol: str, how: str, show: Show
) -> None:
    kafka.wipe()
    client = Client(kafka.address)
    first, other = member(kafka, "first", protocol), member(kafka, "other", protocol)
    until(lambda: len(owned(first) | owned(other)) == 3 and bool(owned(first)) and bool(owned(other)), 60)
    before, disturbed = owned(first), len(events(other, "assigned", "revoked", "lost"))
    with Load(client) as load:
        until(lambda: len(first.stored()) > 100 and len(other.stored()) > 100, 60)
        began = time.time()
        if how == "killed":
            first.kill()
        else:
            assert first.stop() == 0
        again = member(kafka, "first", protocol)
        until(lambda: len(again.stored()) > 100, 60)
    result = account(f"static member back, {protocol}, {how}", client, load.sent, [began])
    show(result)
    assert result.lost == 0
    assert result.duplicated == 0 or how == "killed"
    assert owned(again) == before
    assert len(events(other, "assigned", "revoked", "lost")) == disturbed
    assert [again.stop(), other.stop()] == [0, 0]


def test_a_static_member_that_stops_for_good_keeps_its_partitions_from_the_others(kafka: Kafka) -> None:
    kafka.wipe()
    first, other = member(kafka, "first"), member(kafka, "other")
    until(
        lambda: len(owned(first)) + len(owned(other)) == 3 and bool(owned(first)) and bool(owned(other)), 60
    )
    assert first.stop() == 0
    stopped = time.monotonic()
    until(lambda: len(owned(other)) == 3, 60)
    assert time.monotonic() - stopped > SESSION_SECONDS / 2
    assert other.stop() == 0


def test_a_static_member_that_was_killed_is_refused_by_the_consumer_protocol(kafka: Kafka) -> None:
    kafka.wipe()
    first = member(kafka, "first", "consumer")
    until(lambda: bool(owned(first)), 60)
    first.kill()
    killed = time.monotonic()
    again = member(kafka, "first", "consumer")
    assert again.wait(60) == 1
    (line,) = [str(line["event"]) for line in again.lines() if line["level"] == "critical"]
    assert "The instance ID is still used by another member" in line
    assert "KAFKA_GROUP_PROTOCOL" not in line  # which would not help
    time.sleep(max(0.0, killed + SESSION_SECONDS + 2 - time.monotonic()))
    third = member(kafka, "first", "consumer")
    until(lambda: bool(owned(third)), 60)
    assert third.stop() == 0
