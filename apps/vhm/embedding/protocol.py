"""What an embedder is, what a provider of embeddings is, and how a model's cosine reads as similarity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from vhm.embedding.errors import EmbeddingFailedError

Vectors = NDArray[np.float32]
"""Shape (n, size), one row a text, each of length 1, or all zero for a text without a token."""

Vector = NDArray[np.float32]
"""Shape (size,): one row of Vectors."""

GOOD_MATCH = 0.85
"""The similarity from which a fresh memory of ordinary salience is told verbatim."""


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """How a model's cosine maps onto a similarity of 0..1.

    Models differ: a good match has cosine 0.5 for one, 0.8 for another. A cosine of `floor` or less is
    similarity 0 (unrelated texts), `good` is GOOD_MATCH, 1 is 1 (an exact match). Straight lines join the
    three, so the order of cosines above `floor` is kept and nothing below 1 ties with an exact match. The
    default is the identity.
    """

    floor: float = 0.0
    good: float = GOOD_MATCH

    def __post_init__(self) -> None:
        if not self.floor < self.good < 1:
            raise ValueError(f"calibration needs floor < good < 1, got {self.floor:g} and {self.good:g}")

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
        """The calibration as a sum, for stores that compute a formula: pairs (x, slope) with
        similarity = Σ slope · max(0, cosine - x). The second slope is 0 for the identity."""
        rise = GOOD_MATCH / (self.good - self.floor)
        then = (1 - GOOD_MATCH) / (1 - self.good)
        return (self.floor, rise), (self.good, then - rise)


class Embedder(Protocol):
    """Text → vectors, by one model."""

    name: str
    """The model, as the collection records it: "minilm", "ollama:nomic-embed-text"."""

    size: int
    """Numbers in a vector; known once `open` has returned."""

    calibration: Calibration

    async def open(self) -> None:
        """Load the model or try the provider. Raises EmbeddingUnavailableError; may be called again then."""
        ...

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """One unit vector for each text, in order; shape (0, size) for none.

        The event loop stays free, several calls may run at once, and a text's vector does not depend on the
        texts it was sent with. Raises EmbeddingUnavailableError, or EmbeddingFailedError with the first text
        that will never work.
        """
        ...

    async def close(self) -> None:
        """Free the model and its connections."""
        ...


class EmbeddingProvider(Protocol):
    """One provider's API for one model, as `RemoteEmbedder` calls it."""

    name: str
    """Provider and model as in EMBEDDING_MODEL."""

    address: str
    """The provider's URL, fit to be shown."""

    async def vectors(self, texts: Sequence[str]) -> list[list[float]]:
        """One call, not retried. Raises ProviderError."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


def normalized(vectors: NDArray[np.floating]) -> Vectors:
    """Rows scaled to length 1; a row of zeros stays one."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)


def check_unicode(texts: Sequence[str]) -> None:
    """Raises EmbeddingFailedError for the first text with half a surrogate pair, which is not Unicode."""
    for index, text in enumerate(texts):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise EmbeddingFailedError(
                f"the text is not valid Unicode at character {error.start}: {text[error.start]!a}", index
            ) from None
