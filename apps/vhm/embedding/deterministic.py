"""The published hash embedding: no model, no meaning, the same vector everywhere.

Of each token of the lower-cased text split on white space, h is the MD5 as an integer and
v[h mod 384] += (h mod 1000) / 1000; v is then scaled to length 1. Collections filled by the published
system hold exactly these vectors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from vhm.embedding.protocol import Calibration, Vectors, encodable, unit

SIZE = 384


class Deterministic:
    """Embedder of EMBEDDING_MODEL=deterministic."""

    name = "deterministic"
    size = SIZE
    calibration = Calibration()
    """The identity, so that the published activations hold."""

    async def open(self) -> None:
        """Nothing to load."""

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """See Embedder.embed. A text without a token has a vector of zeros."""
        encodable(texts)
        vectors = np.zeros((len(texts), SIZE))
        for vector, text in zip(vectors, texts, strict=True):
            for token in text.lower().split():
                digest = hashlib.md5(token.encode(), usedforsecurity=False).digest()
                number = int.from_bytes(digest, "big")
                vector[number % SIZE] += (number % 1000) / 1000
        return unit(vectors)

    async def close(self) -> None:
        """Nothing to let go of."""
