"""What each variable of the environment is: the one place that says so.

A worker's settings are a msgspec Struct whose encoded field names are the variables. Everything else
(ConfigMap, Secret, Deployments, README) is checked against these types or made from them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta

from vhm.contract.environment import Environment, Secret

Port = Annotated[int, Meta(ge=1, le=65535, description="a TCP port")]
Seconds = Annotated[float, Meta(gt=0, le=86_400, description="seconds")]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
BootstrapServers = Annotated[
    str,
    Meta(
        pattern=r"^\s*[^\s,:/]+:\d{1,5}\s*(,\s*[^\s,:/]+:\d{1,5}\s*)*$",
        description="host:port[,host:port]",
        extra={"aliases": ["KAFKA_BOOTSTRAP"], "wants": "host:port[,host:port]"},
    ),
]
QdrantUrl = Annotated[
    str,
    Meta(
        pattern=r"^(https?://[^\s/]+\S*|local:.+)$",
        description="http(s)://host:port, or local:PATH for the embedded store",
        extra={"wants": "http(s)://host:port or local:PATH"},
    ),
]
HttpUrl = Annotated[
    str, Meta(pattern=r"^https?://[^\s/]+\S*$", extra={"wants": "http(s)://host[:port][/path]"})
]
EmbeddingModel = Annotated[
    str,
    Meta(
        pattern=r"^(deterministic|minilm|nomic-embed-text|mxbai-embed-large|bge-m3|(ollama|openai|portkey):\S+)$",
        description="which model turns text into vectors; indexer and resonance must agree",
        extra={
            "wants": "deterministic, minilm, nomic-embed-text, mxbai-embed-large, bge-m3, "
            "ollama:NAME, openai:NAME or portkey:NAME"
        },
    ),
]


class Settings(Environment, frozen=True, kw_only=True, rename=str.upper):
    """What every worker reads. A worker's own Struct adds the rest and names its prefixed fields."""

    kafka_bootstrap_servers: BootstrapServers
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    kafka_sasl_username: Secret | None = None
    kafka_sasl_password: Secret | None = None
    kafka_ssl_ca_location: str | None = None
    kafka_group_protocol: Annotated[
        Literal["classic", "consumer"],
        Meta(description="consumer (KIP-848) only where the broker's group.consumer.* are tuned"),
    ] = "classic"
    kafka_create_topics: Annotated[bool, Meta(description="false: only check that they exist")] = True
    kafka_topic_partitions: Annotated[int, Meta(ge=1, le=10_000)] = 3
    kafka_topic_replication_factor: Annotated[int, Meta(ge=1, le=32)] = 1
    health_port: Port = 8080

    @classmethod
    def conflicts(cls, given: Mapping[str, Any]) -> Iterator[str]:
        """See `Environment.conflicts`: SASL wants its mechanism, user and password."""
        protocol = given.get("KAFKA_SECURITY_PROTOCOL")
        if isinstance(protocol, str) and protocol.startswith("SASL"):
            for name in ("KAFKA_SASL_MECHANISM", "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"):
                if given.get(name) is None:
                    yield f"{name}: not set, wanted with KAFKA_SECURITY_PROTOCOL={protocol}"


NEEDED_BY_MODEL = {
    "ollama": "OLLAMA_BASE_URL",
    "openai": "OPENAI_API_KEY",
    "portkey": "PORTKEY_API_KEY",
}
BARE_OLLAMA_NAMES = ("nomic-embed-text", "mxbai-embed-large", "bge-m3")


class EmbeddingSettings(Settings, frozen=True, kw_only=True, rename=str.upper):
    """What the two workers that embed and store read besides."""

    qdrant_url: QdrantUrl
    qdrant_api_key: Secret | None = None
    qdrant_collection: Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[^/\s]+$")] = "anchors"
    embedding_model: EmbeddingModel = "minilm"
    ollama_base_url: HttpUrl | None = None
    openai_api_key: Secret | None = None
    openai_base_url: HttpUrl | None = None
    portkey_api_key: Secret | None = None
    portkey_base_url: HttpUrl | None = None
    portkey_config_id: str | None = None

    @classmethod
    def conflicts(cls, given: Mapping[str, Any]) -> Iterator[str]:
        """See `Settings.conflicts`; besides, what the chosen EMBEDDING_MODEL wants and does not find."""
        yield from super().conflicts(given)
        model = given.get("EMBEDDING_MODEL")
        if isinstance(model, str):
            provider = "ollama" if model in BARE_OLLAMA_NAMES else model.partition(":")[0]
            needed = NEEDED_BY_MODEL.get(provider)
            if needed and given.get(needed) is None:
                yield f"{needed}: not set, wanted with EMBEDDING_MODEL={model}"


class LanguageSettings(Settings, frozen=True, kw_only=True, rename=str.upper):
    """What a worker that asks language models reads. One is used when its key (Ollama: its URL) is set."""

    openai_api_key: Secret | None = None
    openai_model: str = "gpt-4o-mini"
    openai_base_url: HttpUrl | None = None
    portkey_api_key: Secret | None = None
    portkey_base_url: HttpUrl | None = None
    portkey_config_id: str | None = None
    portkey_model: str | None = None
    ollama_base_url: Annotated[HttpUrl | None, Meta(description="never localhost inside a pod")] = None
    ollama_model: str = "llama3"

    @classmethod
    def conflicts(cls, given: Mapping[str, Any]) -> Iterator[str]:
        """See `Settings.conflicts`; besides, a Portkey key wants to know what to ask for."""
        yield from super().conflicts(given)
        chosen = given.get("PORTKEY_MODEL") or given.get("PORTKEY_CONFIG_ID")
        if given.get("PORTKEY_API_KEY") and not chosen:
            yield "PORTKEY_MODEL: not set, it or PORTKEY_CONFIG_ID is wanted with PORTKEY_API_KEY"
