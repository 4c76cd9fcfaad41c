"""The clients' configuration, and the errors that end a client."""

from __future__ import annotations

import pytest
from confluent_kafka import Consumer, KafkaError, Producer

from vhm.contract.env_loader import load
from vhm.reteller.settings import Settings
from vhm.runtime import kafka_config


def settings(**more: str) -> Settings:
    return load(Settings, {"KAFKA_BOOTSTRAP_SERVERS": "localhost:9", **more})


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
