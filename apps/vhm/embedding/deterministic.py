"""The published hash embedding: no model, no meaning, the same vector everywhere.

Of each token of the lower-cased text split on white space, h is the MD5 as an integer and
v[h mod 384] += (h mod 1000) / 1000; v is then scaled to length 1. Collections filled by the published
system hold exactly these vectors.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence

import numpy as np

from vhm.embedding.protocol import Calibration, Vectors, check_unicode, normalized

SIZE = 384

INLINE_CHARACTERS = 10_000
"""Characters embedded on the event loop itself, in 2 ms; more go to a thread."""


class DeterministicEmbedder:
    """Embedder of EMBEDDING_MODEL=deterministic."""

    name = "deterministic"
    size = SIZE
    calibration = Calibration()
    """The identity, so that the published activations hold."""

    async def open(self) -> None:
        """See `Embedder`. Nothing to load."""

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder`. A text without a token has a vector of zeros."""
        check_unicode(texts)
        if sum(map(len, texts)) > INLINE_CHARACTERS:
            return await asyncio.to_thread(_vectors, texts)
        return _vectors(texts)

    async def close(self) -> None:
        """See `Embedder`. Nothing to free."""


def _vectors(texts: Sequence[str]) -> Vectors:
    rows: list[int] = []
    columns: list[int] = []
    weights: list[float] = []
    for row, text in enumerate(texts):
        for token in text.lower().split():
            number = int.from_bytes(hashlib.md5(token.encode(), usedforsecurity=False).digest(), "big")
            rows.append(row)
            columns.append(number % SIZE)
            weights.append(number % 1000 / 1000)
    sums = np.zeros((len(texts), SIZE))
    np.add.at(sums, (rows, columns), weights)
    return normalized(sums)
