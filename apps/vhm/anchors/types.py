"""What goes into the store and what comes out of it, and the ways it can fail."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Set
from datetime import datetime
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
Vectors = NDArray[np.float32]

YOUNGEST_SECONDS = 5.0
"""An anchor younger than this at the moment of recall is not a memory yet."""


class Stored(enum.Enum):
    """What became of an anchor. Content is text, moment of `stored_at`, salience and meta."""

    NEW = "new"
    SAME = "same"
    """It was there already, with the same content."""

    DIFFERENT = "different"
    """Its id holds other content, which stays as it is."""


class Calibration(Protocol):
    """How a model's cosine reads as a similarity of 0..1."""

    def similarity(self, cosines: NDArray[np.floating]) -> NDArray[np.float64]:
        """Similarities of an array of cosines; never falls as the cosine rises."""
        ...

    @property
    def hinges(self) -> tuple[tuple[float, float], ...]:
        """The same as pairs (x, slope): similarity = Σ slope · max(0, cosine - x)."""
        ...


class Model(Protocol):
    """What the store wants to know of the embedding model. Read when the store is opened."""

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
        """How its cosine reads."""
        ...


class Scoring(msgspec.Struct, frozen=True, kw_only=True):
    """What a similarity is made of: the calibrated cosine, and with `hybrid` the words as well."""

    calibration: Calibration
    hybrid: bool = False


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What to recall. `vector` is the query's embedding (unit length) and `text` its words; `now` is
    aware; `decay_lambda` is a day; two anchors whose cosine reaches `diversity_threshold` say the same."""

    vector: Vector
    text: str
    now: datetime
    limit: int = 3
    session_id: str | None = None
    ignore: Set[uuid.UUID] = frozenset()
    decay_lambda: float = 0.002
    diversity_threshold: float = 0.85


class Recalled(msgspec.Struct, frozen=True, kw_only=True):
    """An anchor that answers a query: activation = similarity · decay · salience."""

    anchor_id: uuid.UUID
    text: str
    stored_at: datetime
    salience: float
    similarity: float
    decay: float
    activation: float


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate of a recall and, unless it is a beat, why it was left out."""

    recalled: Recalled
    left_out: str | None = None


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """Why a recall may be empty: how many anchors there are, how many of them are younger than 5 s at
    that moment (or lie in its future), and how many belong to the asking session."""

    total: int
    younger_than_5s: int
    of_session: int
