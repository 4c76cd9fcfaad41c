"""What resonance reads from its environment."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from vhm.contract.settings import EmbeddingSettings, LogJson, LogLevel, ShutdownTimeout


class Settings(EmbeddingSettings, frozen=True, kw_only=True):
    """Resonance's settings."""

    max_beats: Annotated[int, Meta(ge=1, description="beats of one recall, at most")] = field(
        name="RESONANCE_MAX_BEATS", default=3
    )
    diversity_threshold: Annotated[
        float, Meta(ge=0, le=1, description="cosine from which two memories say the same")
    ] = field(name="RESONANCE_DIVERSITY_THRESHOLD", default=0.85)
    decay_lambda_per_day: Annotated[
        float, Meta(ge=0, description="how fast memories fade: exp(-this * days)")
    ] = field(name="RESONANCE_DECAY_LAMBDA_PER_DAY", default=0.002)
    log_level: LogLevel = field(name="RESONANCE_LOG_LEVEL", default="INFO")
    log_json: LogJson = field(name="RESONANCE_LOG_JSON", default=None)
    shutdown_timeout_seconds: ShutdownTimeout = field(name="RESONANCE_SHUTDOWN_TIMEOUT_SECONDS", default=10)
