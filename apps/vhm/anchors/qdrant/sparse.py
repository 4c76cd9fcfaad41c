"""The words of an anchor as a sparse vector, for servers: its BM25 weights, their rarity left to Qdrant."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from qdrant_client import models

from vhm.anchors.payload import Content
from vhm.memory import similarity

WORDS = "vhm_words"
"""Name of the sparse vector. It exists only where hybrid recall is on."""

PARAMS = models.SparseVectorParams(modifier=models.Modifier.IDF)
CONFIG = models.SparseVectorNameConfig(sparse=models.SparseVectorConfig(modifier=models.Modifier.IDF))


def dimension(term: str) -> int:
    """The sparse dimension of a stem."""
    return zlib.crc32(term.encode())


def weights(content: Content) -> dict[str, float]:
    """What each stem of an anchor adds to a query that holds it, before its rarity."""
    return similarity.read(content.text, content.stored_at).weights


def of_anchor(content: Content) -> models.SparseVector:
    """The anchor's sparse vector."""
    dimensions: dict[int, float] = {}
    for term, weight in weights(content).items():
        dimensions[dimension(term)] = dimensions.get(dimension(term), 0.0) + weight
    return models.SparseVector(indices=list(dimensions), values=list(dimensions.values()))


def of_terms(terms: Iterable[str]) -> models.SparseVector:
    """A query for stems: its score is the sum of rarity times weight."""
    dimensions = {dimension(term) for term in terms}
    return models.SparseVector(indices=list(dimensions), values=[1.0] * len(dimensions))
