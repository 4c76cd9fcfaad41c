"""What goes into the store of anchors and what comes out of it."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Set
from datetime import datetime
from typing import Any, Protocol

import msgspec

from vhm.anchors.scope import Scope
from vhm.contract.messages import Where
from vhm.embedding import Calibration, Vector, Vectors
from vhm.memory.activation import BASE_LEVEL_WEIGHT, DECAY_LAMBDA_PER_DAY

__all__ = [
    "Calibration",
    "Explained",
    "Model",
    "Query",
    "Ranking",
    "Recalled",
    "Vector",
    "Vectors",
    "WriteOutcome",
]

MIN_AGE_SECONDS = 5.0
"""An anchor younger than this at the moment of recall is not a memory yet, unless a request says so."""


class WriteOutcome(enum.Enum):
    """What became of an anchor. Content is text, moment of `stored_at`, salience, meta, what it supersedes
    and when it expires."""

    STORED = "stored"
    """It is there with this content, since now or since before."""

    DIFFERENT = "different"
    """Its id holds other content, which stays as it is."""

    FORGOTTEN = "forgotten"
    """It was forgotten, and stays so."""

    CIRCULAR = "circular"
    """It supersedes an anchor that supersedes it, and is not stored."""


class Model(Protocol):
    """What the store asks of the embedding model, when it is opened."""

    @property
    def name(self) -> str:
        """The model, as the collection remembers it."""
        ...

    @property
    def size(self) -> int:
        """Numbers in a vector."""
        ...

    @property
    def calibration(self) -> Calibration:
        """How its cosine reads as a similarity."""
        ...


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What to recall.

    `vector` is the embedding of `text` (unit length); `now` is aware, and days are those of its offset.
    `decay_lambda` is a day; `base_level_weight` is the power of age and salience; `least_match` is the floor
    below which nothing is relevant, for 500 memories (0: none); two anchors whose cosine reaches
    `diversity_threshold` say the same. The ranking explains the `explain` strongest candidates. Only what was
    said from `since` on and before `until` counts, with `where` of its meta; `at_least` bounds the match of
    each beat and takes the place of the floor.
    """

    scope: Scope
    vector: Vector
    text: str
    now: datetime
    limit: int = 3
    session_id: str | None = None
    ignore: Set[uuid.UUID] = frozenset()
    min_age_seconds: float = MIN_AGE_SECONDS
    decay_lambda: float = DECAY_LAMBDA_PER_DAY
    base_level_weight: float = BASE_LEVEL_WEIGHT
    least_match: float = 0.0
    diversity_threshold: float = 0.85
    explain: int = 0
    since: datetime | None = None
    until: datetime | None = None
    where: Where = msgspec.field(default_factory=dict)
    at_least: float | None = None


class Recalled(msgspec.Struct, frozen=True, kw_only=True):
    """An anchor that answers a query: activation = similarity · (decay · salience) ^ base level weight.
    `match` is how well it fits before that is read as a similarity, `meaning` and `words` what the two add to
    it (see `memory.match`)."""

    anchor_id: uuid.UUID
    text: str
    stored_at: datetime
    salience: float
    meta: dict[str, Any]
    match: float
    meaning: float
    words: float
    similarity: float
    decay: float
    activation: float


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate of a recall and, unless it is a beat, why it was left out."""

    recalled: Recalled
    left_out: str | None = None


class Ranking(msgspec.Struct, frozen=True, kw_only=True):
    """What a recall found: beats strongest first, and the strongest candidates with the reasons for those
    that are none. `candidates` is how many were ranked, `memories` about how many the owner has. `exhausted`:
    more candidates could not add beats."""

    beats: list[Recalled]
    explained: list[Explained]
    candidates: int
    memories: int
    exhausted: bool
