"""Environment → typed settings, decoded once at start with every error reported together.

A worker's settings are a msgspec Struct whose encoded field names are the variables. Type, bounds and
enum are part of the type, so that the manifest check reads the same contract from the same place.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import Meta

EX_CONFIG = 78
"""Exit code of a worker whose environment is wrong (sysexits.h, EX_CONFIG)."""

S = TypeVar("S", bound="Settings")


class SettingsError(ValueError):
    """Every fault of an environment, one line each; no line holds a secret."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


class Secret:
    """A value that shows itself only to those who ask with `reveal()`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


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


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename=str.upper):
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

    def __post_init__(self) -> None:
        problems = list(type(self).conflicts(values(self)))
        if problems:
            raise ValueError("\n".join(problems))

    @classmethod
    def conflicts(cls, given: Mapping[str, Any]) -> Iterator[str]:
        """What is wrong between variables; `given` holds those that decoded, by variable name."""
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


def values(settings: msgspec.Struct) -> dict[str, Any]:
    """The settings by variable name; secrets stay `Secret`."""
    return {f.encode_name: getattr(settings, f.name) for f in msgspec.structs.fields(settings)}


def shown(settings: msgspec.Struct) -> dict[str, Any]:
    """The settings by variable name, fit to be shown: secrets are only said to be set."""
    return {
        name: "***" if isinstance(value, Secret) else value
        for name, value in values(settings).items()
        if value is not None
    }


def load(kind: type[S], environment: Mapping[str, str]) -> S:
    """The settings of one worker from its environment. Raises SettingsError with every fault."""
    hints = get_type_hints(kind, include_extras=True)
    given: dict[str, Any] = {}
    decoded: dict[str, Any] = {}
    errors: list[str] = []
    for field in msgspec.structs.fields(kind):
        hint, name = hints[field.name], field.encode_name
        try:
            raw = _raw(name, aliases(hint), environment)
            if raw is not None:
                given[name] = decoded[field.name] = _decode(name, raw, hint)
            elif field.required:
                raise ValueError(f"{name}: not set, wants {wants(hint)}")
            else:
                given[name] = field.default
        except ValueError as error:
            errors.append(str(error))
    errors += kind.conflicts(given)
    if errors:
        raise SettingsError(errors)
    return kind(**decoded)


def _raw(name: str, others: list[str], environment: Mapping[str, str]) -> str | None:
    found = {n: v for n in (name, *others) if (v := environment.get(n, "").strip())}
    if len(set(found.values())) > 1:
        raise ValueError(" and ".join(found) + " are both set and differ: keep one")
    return next(iter(found.values()), None)


def _decode(name: str, raw: str, hint: Any) -> Any:
    if is_secret(hint):
        return Secret(raw)
    try:
        value = msgspec.convert(raw, hint, strict=False)
    except msgspec.ValidationError:
        value = math.nan
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name}: got {_clipped(raw)!r}, wants {wants(hint)}")
    return value


def _clipped(raw: str) -> str:
    return raw if len(raw) <= 80 else raw[:77] + "..."


def is_secret(hint: Any) -> bool:
    """Whether a field of this type holds a secret."""
    return hint is Secret or any(is_secret(inner) for inner in get_args(hint))


def _metas(hint: Any) -> Iterator[Meta]:
    for inner in get_args(hint):
        if isinstance(inner, Meta):
            yield inner
        else:
            yield from _metas(inner)


def aliases(hint: Any) -> list[str]:
    """Other variables this one may come from."""
    return [name for meta in _metas(hint) for name in (meta.extra or {}).get("aliases", ())]


def wants(hint: Any) -> str:
    """The type in a person's words: what a value must look like."""
    for meta in _metas(hint):
        if meta.extra and "wants" in meta.extra:
            return str(meta.extra["wants"])
    schema = msgspec.json.schema(str if is_secret(hint) else hint)
    options = [s for s in schema.get("anyOf", [schema]) if s.get("type") != "null"]
    return " or ".join(_describe(option) for option in options)


def _describe(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return "one of " + ", ".join(str(v) for v in schema["enum"])
    if schema.get("type") == "boolean":
        return "true or false"
    kind = {"integer": "a whole number", "number": "a number", "string": "text"}[schema["type"]]
    low, above, high = (schema.get(k) for k in ("minimum", "exclusiveMinimum", "maximum"))
    if low is not None and high is not None:
        return f"{kind} from {low:g} to {high:g}"
    if above is not None:
        return f"{kind} above {above:g}" + (f", at most {high:g}" if high is not None else "")
    if low is not None:
        return f"{kind}, at least {low:g}"
    return kind
