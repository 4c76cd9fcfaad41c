"""Text → vectors: one file a provider, chosen by EMBEDDING_MODEL and imported only when chosen."""

from vhm.embedding.errors import EmbeddingFailedError, EmbeddingUnavailableError
from vhm.embedding.factory import canonical, create
from vhm.embedding.protocol import (
    GOOD_MATCH,
    Calibration,
    Embedder,
    Vector,
    Vectors,
)

__all__ = [
    "GOOD_MATCH",
    "Calibration",
    "Embedder",
    "EmbeddingFailedError",
    "EmbeddingUnavailableError",
    "Vector",
    "Vectors",
    "canonical",
    "create",
]
