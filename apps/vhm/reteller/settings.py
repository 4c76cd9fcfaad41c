"""What the reteller reads from its environment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from msgspec import Meta, field

from vhm.contract import settings as contract
from vhm.contract.settings import HttpUrl, LogLevel, Seconds, Secret


class Settings(contract.Settings, frozen=True, kw_only=True):
    """The reteller's settings. A provider is used when its key (Ollama: its URL) is set."""

    openai_api_key: Secret | None = None
    openai_model: str = "gpt-4o-mini"
    openai_base_url: HttpUrl | None = None
    portkey_api_key: Secret | None = None
    portkey_base_url: HttpUrl | None = None
    portkey_config_id: str | None = None
    portkey_model: str | None = None
    ollama_base_url: Annotated[HttpUrl | None, Meta(description="never localhost inside a pod")] = None
    ollama_model: str = "llama3"
    provider_timeout_seconds: Annotated[Seconds, Meta(description="one call to one provider, seconds")] = (
        field(name="RETELLER_PROVIDER_TIMEOUT_SECONDS", default=30)
    )
    log_level: LogLevel = field(name="RETELLER_LOG_LEVEL", default="INFO")
    log_json: bool | None = field(name="RETELLER_LOG_JSON", default=None)
    shutdown_timeout_seconds: Seconds = field(name="RETELLER_SHUTDOWN_TIMEOUT_SECONDS", default=10)

    @classmethod
    def conflicts(cls, given: Mapping[str, Any]) -> Iterator[str]:
        """See `contract.Settings.conflicts`."""
        yield from super().conflicts(given)
        chosen = given.get("PORTKEY_MODEL") or given.get("PORTKEY_CONFIG_ID")
        if given.get("PORTKEY_API_KEY") and not chosen:
            yield "PORTKEY_MODEL: not set, it or PORTKEY_CONFIG_ID is wanted with PORTKEY_API_KEY"
