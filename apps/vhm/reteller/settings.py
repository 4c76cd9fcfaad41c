"""What the reteller reads from its environment."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from vhm.contract.settings import LanguageSettings, LogJson, LogLevel, Seconds, ShutdownTimeout


class Settings(LanguageSettings, frozen=True, kw_only=True):
    """The reteller's settings."""

    provider_timeout_seconds: Annotated[Seconds, Meta(description="one call to one provider, seconds")] = (
        field(name="RETELLER_PROVIDER_TIMEOUT_SECONDS", default=30)
    )
    log_level: LogLevel = field(name="RETELLER_LOG_LEVEL", default="INFO")
    log_json: LogJson = field(name="RETELLER_LOG_JSON", default=None)
    shutdown_timeout_seconds: ShutdownTimeout = field(name="RETELLER_SHUTDOWN_TIMEOUT_SECONDS", default=10)
