"""What the indexer reads from its environment."""

from __future__ import annotations

from msgspec import field

from vhm.contract.settings import EmbeddingSettings, LogJson, LogLevel, ShutdownTimeout


class Settings(EmbeddingSettings, frozen=True, kw_only=True):
    """The indexer's settings."""

    log_level: LogLevel = field(name="INDEXER_LOG_LEVEL", default="INFO")
    log_json: LogJson = field(name="INDEXER_LOG_JSON", default=None)
    shutdown_timeout_seconds: ShutdownTimeout = field(name="INDEXER_SHUTDOWN_TIMEOUT_SECONDS", default=10)
