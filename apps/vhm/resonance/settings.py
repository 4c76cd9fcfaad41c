"""What resonance reads from its environment."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from vhm.contract.settings import EmbeddingSettings, LogJson, LogLevel, ShutdownTimeout
from vhm.memory.activation import BASE_LEVEL_WEIGHT

LEAST_MATCH = 0.33
"""The floor where words count: at a loss of .005 of recall@5 .87 of the questions that nothing answers get
nothing, over three sets of conversations (MiniLM; other models are calibrated to read like it)."""

LEAST_MATCH_DETERMINISTIC = 0.2
"""That of the deterministic embedding, whose cosines add little to a good match: about .77 of general
questions and .56 of those about others get nothing, at a loss below .01; 0.33 would cost .07.

Without words there is none: what tells MiniLM's cosines apart on conversations (0.62: .84 of the off-topic
questions at a loss of .007) leaves a fifth of the questions to short personal notes unanswered."""


class Settings(EmbeddingSettings, frozen=True, kw_only=True):
    """Resonance's settings."""

    max_beats: Annotated[int, Meta(ge=1, description="beats of one recall, at most")] = field(
        name="RESONANCE_MAX_BEATS", default=10
    )
    diversity_threshold: Annotated[
        float, Meta(ge=0, le=1, description="cosine from which two memories say the same")
    ] = field(name="RESONANCE_DIVERSITY_THRESHOLD", default=0.85)
    decay_lambda_per_day: Annotated[
        float, Meta(ge=0, description="how fast memories fade: exp(-this * days)")
    ] = field(name="RESONANCE_DECAY_LAMBDA_PER_DAY", default=0.002)
    base_level_weight: Annotated[
        float,
        Meta(ge=0, le=1, description="power of age and salience beside the match; 1: the published formula"),
    ] = field(name="RESONANCE_BASE_LEVEL_WEIGHT", default=BASE_LEVEL_WEIGHT)
    least_match: Annotated[
        Annotated[float, Meta(ge=0, le=1)] | None,
        Meta(
            description="match that the best of 500 memories must reach, or nothing is relevant; 0: none",
            extra={"default": "0.33 with HYBRID_RECALL (deterministic: 0.2), else 0"},
        ),
    ] = field(name="RESONANCE_LEAST_MATCH", default=None)
    log_level: LogLevel = field(name="RESONANCE_LOG_LEVEL", default="INFO")
    log_json: LogJson = field(name="RESONANCE_LOG_JSON", default=None)
    shutdown_timeout_seconds: ShutdownTimeout = field(name="RESONANCE_SHUTDOWN_TIMEOUT_SECONDS", default=10)

    @property
    def floor(self) -> float:
        """The least match; unless it is set, by measurement: none where meaning alone counts."""
        if self.least_match is not None:
            return self.least_match
        if not self.hybrid_recall:
            return 0.0
        return LEAST_MATCH_DETERMINISTIC if self.embedding_model == "deterministic" else LEAST_MATCH
