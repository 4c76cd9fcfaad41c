"""Text → vectors: one file a provider, chosen by EMBEDDING_MODEL and imported only when chosen."""

from vhm.embedding.choice import canonical, create
from vhm.embedding.protocol import (
    GOOD_MATCH,
    Calibration,
    Embedder,
    EmbeddingFailed,
    EmbeddingUnavailable,
    Vector,
    Vectors,
)

__all__ = [
    "GOOD_MATCH",
    "Calibration",
    "Embedder",
    "EmbeddingFailed",
    "EmbeddingUnavailable",
    "Vector",
    "Vectors",
    "canonical",
    "create",
]
