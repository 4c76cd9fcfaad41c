"""What travels in the `vhm-explain` header: why a recall came out as it did."""

from __future__ import annotations

import uuid

import msgspec

HEADER = "vhm-explain"
"""On a recall-request: how many candidates to explain. On its recall-response: an `Explanation`."""

MAX_BYTES = 64_000
MAX_CANDIDATES = 200
TOO_YOUNG = ("younger than", "in the future")
"""How the reasons begin that keep out what is no memory yet at that moment."""

SAME_SESSION = "said in this session"
NOTHING_RELEVANT = "no memory matches well enough"
"""Reasons that a recall may be empty for."""

TEXT = 120
"""Characters of a candidate's text that are shown."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One memory that was scored: activation = similarity * (decay * salience) ^ RESONANCE_BASE_LEVEL_WEIGHT.
    `left_out` says why it is no beat; None when it is one."""

    anchor_id: uuid.UUID
    text: str
    age_days: float
    match: float
    similarity: float
    decay: float
    salience: float
    activation: float
    left_out: str | None = None


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Candidates, strongest first, and about how many memories there are."""

    candidates: list[Candidate]
    memories: int


def asked(header: bytes | None) -> int:
    """How many candidates a request wants explained; 0 when it does not ask, or not in numbers."""
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
