"""The variables of the environment: their types, bounds, defaults and meaning.

A worker's settings are a msgspec Struct whose encoded field names are the variables. Everything else
(ConfigMap, Secret, Deployments, README) is checked against these types or made from them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta

from vhm.contract.env_loader import Environment, Secret

RETENTION_HOURS = 168
"""How long topics keep texts, unless a setting says otherwise."""

Port = Annotated[int, Meta(ge=1, le=65535)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]
LogLevel = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], Meta(description="the least that is logged")
]
LogJson = Annotated[
    bool | None,
    Meta(
        description="JSON lines or a console rendering",
        extra={"default": "true, but false on a terminal"},
    ),
]
ShutdownTimeout = Annotated[
    Seconds,
    Meta(description="seconds to finish in; less than terminationGracePeriodSeconds"),
]
BootstrapServers = Annotated[
    str,
    Meta(
        pattern=r"^\s*[^\s,:/]+:\d{1,5}\s*(,\s*[^\s,:/]+:\d{1,5}\s*)*$",
        description="where Kafka is",
        extra={"aliases": ["KAFKA_BOOTSTRAP"], "wants": "host:port[,host:port]"},
    ),
]
_HTTP_URL = r"https?://([^\s/@]*@)?(\[[0-9a-fA-F:.]+\]|[^\s/:@?#\[\]]+)(:\d{1,5})?([/?#]\S*)?"
QdrantUrl = Annotated[
    str,
    Meta(
        pattern=rf"^({_HTTP_URL}|local:.+)$",
        description="where the memories are; local:PATH is the embedded store",
        extra={"wants": "http(s)://host:port or local:PATH"},
    ),
]
HttpUrl = Annotated[str, Meta(pattern=rf"^{_HTTP_URL}$", extra={"wants": "http(s)://host[:port][/path]"})]
OllamaUrl = Annotated[HttpUrl | None, Meta(description="where Ollama is; never localhost inside a pod")]
OpenaiKey = Annotated[Secret | None, Meta(description="set: OpenAI is used")]
OpenaiUrl = Annotated[HttpUrl | None, Meta(description="another address that speaks OpenAI's protocol")]
PortkeyKey = Annotated[Secret | None, Meta(description="set: Portkey is used")]
PortkeyUrl = Annotated[HttpUrl | None, Meta(description="a Portkey gateway of one's own")]
PortkeyConfig = Annotated[str | None, Meta(description="a saved Portkey config")]
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
    kafka_security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"],
        Meta(description="how to talk to the brokers"),
    ] = "PLAINTEXT"
    kafka_sasl_mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None,
        Meta(description="needed with SASL_…"),
    ] = None
    kafka_sasl_username: Annotated[Secret | None, Meta(description="needed with SASL_…")] = None
    kafka_sasl_password: Annotated[Secret | None, Meta(description="needed with SASL_…")] = None
    kafka_ssl_ca_location: Annotated[
        str | None,
        Meta(description="file with the brokers' authority; the system's own, if not set"),
    ] = None
    kafka_topic_prefix: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9._-]{0,100}$(?!\n)",
            description="before every topic and group name: several installs on one Kafka",
            extra={"wants": "letters, digits, dots, dashes and underscores"},
        ),
    ] = ""
    kafka_topic_retention_hours: Annotated[
        int,
        Meta(
            ge=1, le=87_600, description="of topics that carry texts: what is forgotten stays there so long"
        ),
    ] = RETENTION_HOURS
    kafka_group_protocol: Annotated[
        Literal["classic", "consumer"],
        Meta(description="consumer (KIP-848) only where the brokers' group.consumer.* are tuned for it"),
    ] = "classic"
    kafka_create_topics: Annotated[
        bool, Meta(description="false: only check that the topics exist, and say which are missing")
    ] = True
    kafka_topic_partitions: Annotated[int, Meta(ge=1, le=10_000, description="of a topic created here")] = 3
    kafka_topic_replication_factor: Annotated[
        int, Meta(ge=1, le=32, description="of a topic created here")
    ] = 1
    health_port: Annotated[Port, Meta(description="where /livez, /readyz and /metrics are")] = 8080

    @classmethod
    def conflicts(cls, given: Mapping[str, Any]) -> Iterator[str]:
        """See `Environment.conflicts`: SASL needs a mechanism, a user and a password."""
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


class StoreSettings(Settings, frozen=True, kw_only=True, rename=str.upper):
    """The settings of workers that open the store."""

    qdrant_url: QdrantUrl
    qdrant_api_key: Annotated[Secret | None, Meta(description="the store's key, if it needs one")] = None
    qdrant_collection: Annotated[
        str,
        Meta(min_length=1, max_length=255, pattern=r"^[^/\s]+$", description="the collection of memories"),
    ] = "anchors"


class EmbeddingSettings(StoreSettings, frozen=True, kw_only=True, rename=str.upper):
    """The settings of workers that embed and store."""

    embedding_model: EmbeddingModel = "minilm"
    hybrid_recall: Annotated[
        bool,
        Meta(
            description="memories are found by words as well as by meaning; indexer and resonance must agree"
        ),
    ] = True
    ollama_base_url: OllamaUrl = None
    openai_api_key: OpenaiKey = None
    openai_base_url: OpenaiUrl = None
    portkey_api_key: PortkeyKey = None
    portkey_base_url: PortkeyUrl = None
    portkey_config_id: PortkeyConfig = None

    @classmethod
    def conflicts(cls, given: Mapping[str, Any]) -> Iterator[str]:
        """See `Settings.conflicts`; also, a provider's EMBEDDING_MODEL needs its key or URL."""
        yield from super().conflicts(given)
        model = given.get("EMBEDDING_MODEL")
        if isinstance(model, str):
            provider = "ollama" if model in BARE_OLLAMA_NAMES else model.partition(":")[0]
            needed = NEEDED_BY_MODEL.get(provider)
            if needed and given.get(needed) is None:
                yield f"{needed}: not set, wanted with EMBEDDING_MODEL={model}"


class LanguageSettings(Settings, frozen=True, kw_only=True, rename=str.upper):
    """The settings of workers that call language models. A model is used when its key (Ollama: its URL) is
    set."""

    openai_api_key: OpenaiKey = None
    openai_model: Annotated[str, Meta(description="which OpenAI model tells")] = "gpt-4o-mini"
    openai_base_url: OpenaiUrl = None
    portkey_api_key: PortkeyKey = None
    portkey_base_url: PortkeyUrl = None
    portkey_config_id: PortkeyConfig = None
    portkey_model: Annotated[
        str | None, Meta(description="which model tells; needed with the key, if no config names one")
    ] = None
    ollama_base_url: OllamaUrl = None
    ollama_model: Annotated[str, Meta(description="which Ollama model tells")] = "llama3"

    @classmethod
    def conflicts(cls, given: Mapping[str, Any]) -> Iterator[str]:
        """See `Settings.conflicts`; also, Portkey's key needs a model or a config."""
        yield from super().conflicts(given)
        chosen = given.get("PORTKEY_MODEL") or given.get("PORTKEY_CONFIG_ID")
        if given.get("PORTKEY_API_KEY") and not chosen:
            yield "PORTKEY_MODEL: not set, it or PORTKEY_CONFIG_ID is wanted with PORTKEY_API_KEY"
