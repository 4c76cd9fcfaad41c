"""The `vhm-explain` header: the candidates of a recall, and why each is a beat or not."""

from __future__ import annotations

import uuid

import msgspec

HEADER = "vhm-explain"
"""On a recall-request: how many candidates to explain. On its recall-response: an `Explanation`."""

MAX_BYTES = 64_000
MAX_CANDIDATES = 200
TOO_YOUNG = ("younger than", "in the future")
"""How the reasons begin that exclude a memory of too recent a date."""

SAME_SESSION = "said in this session"
NOTHING_RELEVANT = "no memory matches well enough"
"""Reasons that a recall may be empty for."""

WEAKER = "weaker than those chosen"
"""The reason of every candidate below the last beat."""

TEXT = 120
"""Most characters of a candidate's text."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One memory that was scored: activation = similarity * (decay * salience) ^ RESONANCE_BASE_LEVEL_WEIGHT.
    `meaning` and `words` are what the embedding and the words add to the match; what is left of it is the
    period that was asked about. `left_out` says why it is no beat; None when it is one."""

    anchor_id: uuid.UUID
    text: str
    age_days: float
    match: float
    similarity: float
    decay: float
    salience: float
    activation: float
    meaning: float = 0.0
    words: float = 0.0
    left_out: str | None = None


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Candidates, strongest first, and about how many memories there are. `base_level_weight` is
    RESONANCE_BASE_LEVEL_WEIGHT."""

    candidates: list[Candidate]
    memories: int
    base_level_weight: float = 1.0


def asked(header: bytes | None) -> int:
    """The number of candidates that a request's header asks for; 0 without one, or when it is no number."""
    if header is None or not header.isdigit():
        return 0
    return min(int(header[:9]), MAX_CANDIDATES)


def encode(explanation: Explanation) -> bytes:
    """The explanation as JSON; candidates are left off from the end until it fits the header."""
    data = msgspec.json.encode(explanation)
    while len(data) > MAX_BYTES:
        kept = explanation.candidates[: len(explanation.candidates) * 3 // 4]
        explanation = msgspec.structs.replace(explanation, candidates=kept)
        data = msgspec.json.encode(explanation)
    return data
