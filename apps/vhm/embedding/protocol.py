"""What an embedder is, how its cosine reads as similarity, and the two ways it can fail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
"""Shape (n, size), one row a text, each of length 1 (or all zero where a text has nothing to embed)."""

Vector = NDArray[np.float32]
"""Shape (size,): one row of Vectors."""

GOOD_MATCH = 0.85
"""The similarity from which a fresh memory of ordinary salience is told verbatim."""


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """How a model's cosine maps onto a similarity of 0..1.

    Models differ: for one a good match has cosine 0.5, for another 0.8. Two cosines say how to read one:
    at `floor` or below texts have nothing to do with each other (similarity 0), at `good` they match well
    (`GOOD_MATCH`); an exact match (cosine 1) is 1. Straight lines join the three, so the order of cosines
    above `floor` is kept and nothing below 1 ties with an exact match. As it comes it is the identity.
    """

    floor: float = 0.0
    good: float = GOOD_MATCH

    def __post_init__(self) -> None:
        if not self.floor < self.good < 1:
            raise ValueError(f"calibration wants floor < good < 1, got {self.floor:g} and {self.good:g}")

    def similarity(self, cosines: NDArray[np.floating]) -> NDArray[np.float64]:
        """Similarities, 0..1, of an array of cosines of any shape."""
        similarities: NDArray[np.float64] = np.interp(
            cosines, (self.floor, self.good, 1.0), (0.0, GOOD_MATCH, 1.0)
        )
        return similarities

    def cosine(self, similarity: float) -> float:
        """The cosine that reads as a similarity of 0..1; for 0 the greatest that does."""
        return float(np.interp(similarity, (0.0, GOOD_MATCH, 1.0), (self.floor, self.good, 1.0)))

    @property
    def hinges(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The same as a sum, for stores that compute a formula: pairs (x, slope) such that
        similarity = Σ slope · max(0, cosine - x). The second slope is 0 for the identity."""
        rise = GOOD_MATCH / (self.good - self.floor)
        then = (1 - GOOD_MATCH) / (1 - self.good)
        return (self.floor, rise), (self.good, then - rise)


class EmbeddingUnavailableError(Exception):
    """The model cannot be used now: not loaded, not reachable, not allowed, or not the size it was. The
    same texts may succeed later. One line for people: what, where, why; never a secret."""


class EmbeddingFailedError(Exception):
    """A text that this model will never embed. `index` is its place in what was given."""

    def __init__(self, message: str, index: int) -> None:
        super().__init__(message)
        self.index = index


class Embedder(Protocol):
    """Text → vectors, by one model."""

    name: str
    """The model, as the collection remembers it: "minilm", "ollama:nomic-embed-text"."""

    size: int
    """Numbers in a vector; known once `open` has returned."""

    calibration: Calibration

    async def open(self) -> None:
        """Load the model or try the provider. Raises EmbeddingUnavailableError; may be called again then."""
        ...

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """One unit vector a text, in order; none for none. The loop stays free meanwhile, several calls
        may wait at once, and a text's vector does not depend on what it was sent with. Raises
        EmbeddingUnavailableError, or EmbeddingFailedError naming the first text that never will work."""
        ...

    async def close(self) -> None:
        """Let go of model and connections."""
        ...


def unit(vectors: NDArray[np.floating]) -> Vectors:
    """Rows scaled to length 1; a row of zeros stays one."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)


def encodable(texts: Sequence[str]) -> None:
    """Raises EmbeddingFailedError for the first text that is not Unicode (half a surrogate pair)."""
    for index, text in enumerate(texts):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise EmbeddingFailedError(
                f"the text is not valid Unicode at character {error.start}: {text[error.start]!a}", index
            ) from None
