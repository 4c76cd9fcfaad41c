"""The small parts of the runtime: window, readiness, identity, configuration, backoff."""

from __future__ import annotations

import threading
import time
import uuid
from typing import Any

import pytest
import structlog
from confluent_kafka import Consumer, KafkaError, Producer
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from vhm.contract.env_loader import load
from vhm.reteller.settings import Settings
from vhm.runtime import kafka_config
from vhm.runtime.backpressure import Backpressure
from vhm.runtime.handler import Record
from vhm.runtime.log_context import log_context
from vhm.runtime.readiness import Readiness
from vhm.runtime.retry import LONGEST_PAUSE, backoff


def settings(**more: str) -> Settings:
    return load(Settings, {"KAFKA_BOOTSTRAP_SERVERS": "localhost:9", **more})


def test_a_full_window_has_room_again_when_a_call_ends() -> None:
    window = Backpressure(2)
    window.take(2, 10)
    assert window.wait_for_room(0.01) == 0
    threading.Timer(0.05, window.release, (5,)).start()
    began = time.monotonic()
    assert window.wait_for_room(5) == 1
    assert time.monotonic() - began < 2
    assert window.half_empty()


def test_large_records_fill_a_window_before_its_slots_do() -> None:
    window = Backpressure(10, max_bytes=100)
    window.take(1, 100)
    assert window.wait_for_room(0.01) == 0
    assert not window.half_empty()
    window.release(100)
    assert window.wait_for_room(0.01) == 10


def test_a_closed_window_lets_go_of_who_waits() -> None:
    window = Backpressure(1)
    window.take(1, 1)
    threading.Timer(0.02, window.close).start()
    began = time.monotonic()
    assert window.wait_for_room(5) == 0
    assert time.monotonic() - began < 2


def test_a_condition_is_logged_when_it_begins_and_when_it_ends() -> None:
    readiness = Readiness(structlog.get_logger())
    with capture_logs() as lines:
        for nth in range(5):
            readiness.report("store", f"away ({nth})", by=nth % 2)
        assert readiness.reasons() == ["store: away (4)"]
        readiness.report("store", None, by=0)
        assert readiness.reasons() == ["store: away (4)"]
        readiness.report("store", None, by=1)
        readiness.report("store", None, by=1)
    assert readiness.reasons() == []
    assert [line["event"] for line in lines] == ["not ready", "recovered"]


def test_a_record_is_named_by_the_id_in_its_value_else_by_its_key() -> None:
    def named(topic: str, value: bytes | None, key: bytes | None) -> Any:
        record = Record(topic=topic, partition=2, offset=5, timestamp=0, value=value, key=key)
        return {k: v for k, v in log_context(record).items() if k.endswith("_id")}

    one = str(uuid.uuid4())
    assert named("anchors-write", b'{"anchor_id": "%s", "x": 1}' % one.encode(), b"k") == {"anchor_id": one}
    assert named("recall-request", b"not json", b"k") == {"request_id": "k"}
    assert named("recall-request", b'{"request_id": 7}', None) == {}
    assert named("recall-request", b"\xff", b"\xff\x00") == {}
    assert named("recall-request", b"[" * 100_000, None) == {}
    assert named("elsewhere", b"{}", b"k") == {}
    assert log_context(Record(topic="t", partition=2, offset=5, timestamp=0, value=None)) == {
        "topic": "t",
        "partition": 2,
        "offset": 5,
    }


@given(st.integers(1, 10_000))
def test_a_pause_is_short_at_first_and_never_long(tries: int) -> None:
    assert 0.04 < backoff(tries) <= LONGEST_PAUSE
    assert backoff(1) <= 0.1


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"KAFKA_GROUP_PROTOCOL": "consumer"},
        {
            "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "KAFKA_SASL_USERNAME": "me",
            "KAFKA_SASL_PASSWORD": "secret",
        },
        {"KAFKA_SECURITY_PROTOCOL": "SSL"},
    ],
)
def test_the_clients_accept_the_configuration(environment: dict[str, str]) -> None:
    given = settings(**environment)
    Producer(kafka_config.producer_config(given, "x"))
    Consumer(kafka_config.consumer_config(given, "x")).close()


def test_the_classic_session_is_six_seconds_and_offsets_are_ours_to_store() -> None:
    config = kafka_config.consumer_config(settings(), "reteller")
    assert config["session.timeout.ms"] == 6_000
    assert config["heartbeat.interval.ms"] == 1_500
    assert config["partition.assignment.strategy"] == "cooperative-sticky"
    assert config["enable.auto.offset.store"] is False
    assert config["group.id"] == "reteller"


def test_a_broker_without_the_consumer_protocol_is_told_apart() -> None:
    error = KafkaError(KafkaError._FATAL, "Broker: API version not supported: ConsumerGroupHeartbeat")
    assert kafka_config.is_fatal(error)
    line = kafka_config.fatal_line(error, settings(KAFKA_GROUP_PROTOCOL="consumer"))
    assert "KAFKA_GROUP_PROTOCOL=classic" in line
    assert "\n" not in line


def test_other_fatal_errors_of_that_protocol_say_no_such_thing() -> None:
    text = "ConsumerGroupHeartbeat fatal error: Broker: The instance ID is still used by another member"
    error = KafkaError(KafkaError._FATAL, text)
    assert "KAFKA_GROUP_PROTOCOL" not in kafka_config.fatal_line(
        error, settings(KAFKA_GROUP_PROTOCOL="consumer")
    )
