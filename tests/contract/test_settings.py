"""Settings: every fault at once, no secret shown, nothing guessed."""

from __future__ import annotations

import re

import pytest

from vhm.contract.env_loader import Secret, SettingsError, load, redacted
from vhm.contract.settings import Settings
from vhm.indexer.settings import Settings as Indexer
from vhm.resonance.settings import Settings as Resonance
from vhm.reteller.settings import Settings as Reteller

KAFKA = {"KAFKA_BOOTSTRAP_SERVERS": "kafka-service:9092"}
STORE = KAFKA | {"QDRANT_URL": "http://qdrant-service:6333"}


def errors_of(kind: type[Settings], environment: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(kind, environment)
    return caught.value.errors


def test_an_empty_environment_names_each_address() -> None:
    assert [e.split(":")[0] for e in errors_of(Indexer, {})] == ["KAFKA_BOOTSTRAP_SERVERS", "QDRANT_URL"]
    assert [e.split(":")[0] for e in errors_of(Reteller, {})] == ["KAFKA_BOOTSTRAP_SERVERS"]


def test_defaults_are_those_of_the_contract() -> None:
    resonance = load(Resonance, STORE)
    assert (resonance.max_beats, resonance.diversity_threshold, resonance.decay_lambda_per_day) == (
        10,
        0.85,
        0.002,
    )
    assert (resonance.qdrant_collection, resonance.embedding_model) == ("anchors", "minilm")
    reteller = load(Reteller, KAFKA)
    assert (reteller.openai_model, reteller.ollama_model, reteller.provider_timeout_seconds) == (
        "gpt-4o-mini",
        "llama3",
        30,
    )
    assert (reteller.health_port, reteller.shutdown_timeout_seconds, reteller.log_level) == (8080, 10, "INFO")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka"),
        ("KAFKA_BOOTSTRAP_SERVERS", "http://kafka:9092"),
        ("KAFKA_SECURITY_PROTOCOL", "TLS"),
        ("KAFKA_GROUP_PROTOCOL", "new"),
        ("KAFKA_CREATE_TOPICS", "maybe"),
        ("KAFKA_TOPIC_PARTITIONS", "0"),
        ("QDRANT_URL", "qdrant:6333"),
        ("QDRANT_URL", "http://qdrant:port"),
        ("OLLAMA_BASE_URL", "http://[::1"),
        ("EMBEDDING_MODEL", "gpt"),
        ("EMBEDDING_MODEL", "ollama:"),
        ("RESONANCE_MAX_BEATS", "three"),
        ("RESONANCE_MAX_BEATS", "0"),
        ("RESONANCE_DIVERSITY_THRESHOLD", "1.1"),
        ("RESONANCE_DECAY_LAMBDA_PER_DAY", "nan"),
        ("RESONANCE_LOG_LEVEL", "loud"),
        ("RESONANCE_SHUTDOWN_TIMEOUT_SECONDS", "0"),
        ("HEALTH_PORT", "99999"),
    ],
)
def test_a_wrong_value_is_named_shown_and_told_what_it_should_be(name: str, value: str) -> None:
    (error,) = errors_of(Resonance, STORE | {name: value})
    assert re.fullmatch(rf"{name}: got '{re.escape(value)}', wants .+", error)


def test_faults_between_variables_come_together_with_faults_within() -> None:
    wrong = {
        "EMBEDDING_MODEL": "openai:text-embedding-3-small",
        "RESONANCE_MAX_BEATS": "x",
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    }
    named = {e.split(":")[0] for e in errors_of(Resonance, STORE | wrong)}
    assert named == {
        "RESONANCE_MAX_BEATS",
        "OPENAI_API_KEY",
        "KAFKA_SASL_MECHANISM",
        "KAFKA_SASL_USERNAME",
        "KAFKA_SASL_PASSWORD",
    }


@pytest.mark.parametrize("model", ["nomic-embed-text", "ollama:x", "openai:x", "portkey:x"])
def test_a_model_elsewhere_wants_its_address_or_key(model: str) -> None:
    (error,) = errors_of(Indexer, STORE | {"EMBEDDING_MODEL": model})
    assert error.endswith(f"wanted with EMBEDDING_MODEL={model}")


def test_set_but_empty_is_not_set() -> None:
    blank = dict.fromkeys(("OPENAI_API_KEY", "OLLAMA_BASE_URL", "RETELLER_LOG_JSON", "OLLAMA_MODEL"), " ")
    assert load(Reteller, KAFKA | blank) == load(Reteller, KAFKA)


def test_the_old_name_of_the_bootstrap_servers_is_read() -> None:
    assert load(Reteller, {"KAFKA_BOOTSTRAP": "k:1"}).kafka_bootstrap_servers == "k:1"
    assert load(Reteller, {"KAFKA_BOOTSTRAP": "k:1", "KAFKA_BOOTSTRAP_SERVERS": "k:1"})
    (error,) = errors_of(Reteller, {"KAFKA_BOOTSTRAP": "k:1", "KAFKA_BOOTSTRAP_SERVERS": "k:2"})
    assert "KAFKA_BOOTSTRAP_SERVERS and KAFKA_BOOTSTRAP are both set and differ" in error


def test_a_secret_shows_nowhere() -> None:
    secret = "sk-very-private"
    settings = load(Reteller, KAFKA | {"OPENAI_API_KEY": secret})
    assert settings.openai_api_key == Secret(secret)
    assert settings.openai_api_key.reveal() == secret
    assert secret not in f"{settings} {settings!r} {redacted(settings)}"
    wrong = KAFKA | {"PORTKEY_API_KEY": secret, "KAFKA_SASL_PASSWORD": secret, "HEALTH_PORT": "x"}
    assert secret not in "\n".join(errors_of(Reteller, wrong))
