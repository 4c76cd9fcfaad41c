"""Sparse vectors as Qdrant keeps them: terms by number, their rarity left to the store."""

from __future__ import annotations

import functools
import operator
import zlib
from collections.abc import Iterable, Sequence

import msgspec
from qdrant_client import models

from vhm.memory.anchor_terms import Weights

WORDS = "vhm_words"
"""Name of the sparse vector. It exists only where hybrid recall is on."""

FULL_SCAN_BELOW = 2_000
"""Where fewer points of a segment pass a filter, the server compares the words of each, else it walks
the inverted index. With Qdrant's own 5 000 a recall among 10 000 (two segments of 5 000) takes a quarter more
of the server's time; for an owner's 1 250 in a segment comparing is faster."""

PARAMS = models.SparseVectorParams(
    modifier=models.Modifier.IDF, index=models.SparseIndexParams(full_scan_threshold=FULL_SCAN_BELOW)
)
CONFIG = models.SparseVectorNameConfig(sparse=models.SparseVectorConfig(modifier=models.Modifier.IDF))

Numbered = dict[int, float]
"""Number of a term → weight."""

_ROUNDING = 1e-5
"""Weights come back as float32."""


class SparseVector(msgspec.Struct, frozen=True):
    """A sparse vector as it is written."""

    indices: Sequence[int]
    values: Sequence[float]


@functools.lru_cache(maxsize=65_536)
def number(term: str) -> int:
    """The sparse dimension of a term."""
    return zlib.crc32(term.encode())


def numbered(weights: Weights) -> Numbered:
    """The same weights by number; the weights of terms that share one are added."""
    found = dict(zip(map(number, weights), weights.values(), strict=True))
    if len(found) == len(weights):
        return found
    found = {}
    for term, weight in weights.items():
        dimension = number(term)
        found[dimension] = found.get(dimension, 0.0) + weight
    return found


def to_vector(weights: Numbered) -> SparseVector:
    """The sparse vector of these weights."""
    return SparseVector(list(weights), list(weights.values()))


def weights(vector: SparseVector) -> Numbered:
    """The weights that it holds."""
    return dict(zip(vector.indices, vector.values, strict=True))


def alike(one: Numbered, other: Numbered) -> bool:
    """Whether both are the same but for rounding."""
    if one.keys() != other.keys():
        return False
    differences = map(operator.sub, one.values(), map(other.__getitem__, one))
    return max(map(abs, differences), default=0.0) <= _ROUNDING


def score(vector: SparseVector, rarities: Numbered) -> float:
    """The sum of rarity times weight over the terms that both have."""
    # few of a vector's terms are asked for: a dictionary of all of them would take three times as long
    indices, values = vector.indices, vector.values
    return sum(rarities[term] * values[indices.index(term)] for term in rarities.keys() & indices)


def question(terms: Iterable[str]) -> models.SparseVector:
    """A query for terms: its score is the sum of rarity times weight."""
    numbers = list(dict.fromkeys(map(number, terms)))
    return models.SparseVector(indices=numbers, values=[1.0] * len(numbers))
