"""Which of the strongest memories to keep so that they do not all say the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.floating]

_ROUNDING = 1e-6
"""float32 unit vectors that are equal may multiply to a hair below 1."""


class LeftOut(msgspec.Struct, frozen=True):
    """Why a candidate was not chosen, and because of which chosen one (its index).

    `repeats`: the same text, trimmed and lower-cased. `resembles`: a cosine at or above the threshold.
    `weaker`: as many as asked for were found before it.
    """

    why: Literal["repeats", "resembles", "weaker"]
    of: int | None = None
    cosine: float | None = None


class Choice(msgspec.Struct, frozen=True):
    """Indices of the chosen candidates, strongest first, and the reason for every other one."""

    chosen: list[int]
    left_out: dict[int, LeftOut]


def select_diverse(
    vector_of: Callable[[int], Vector], texts: Sequence[str], limit: int, threshold: float
) -> Choice:
    """At most `limit` candidates that differ from one another, strongest first.

    `texts` are n strings, strongest first, and `vector_of` gives the embedding of each, of unit length; it is
    asked only for those that may be chosen. When fewer than `limit` differ enough, the strongest of those
    left out for their embedding fill the list; a repeated text never comes back.
    """
    chosen: list[int] = []
    left_out: dict[int, LeftOut] = {}
    by_text: dict[str, int] = {}
    vectors: list[Vector] = []
    keys = [text.strip().lower() for text in texts]
    for index, key in enumerate(keys):
        if len(chosen) >= limit:
            left_out[index] = LeftOut("weaker")
        elif key in by_text:
            left_out[index] = LeftOut("repeats", by_text[key])
        else:
            vector = vector_of(index)
            near, cosine = _nearest(vectors, vector)
            if chosen and cosine >= threshold - _ROUNDING:
                left_out[index] = LeftOut("resembles", chosen[near], cosine)
            else:
                chosen.append(index)
                vectors.append(vector)
                by_text[key] = index
    for index, reason in list(left_out.items()):
        if len(chosen) >= limit:
            break
        if reason.why != "resembles":
            continue
        if keys[index] in by_text:
            left_out[index] = LeftOut("repeats", by_text[keys[index]])
            continue
        chosen.append(index)
        by_text[keys[index]] = index
        del left_out[index]
    return Choice(sorted(chosen), left_out)


def _nearest(vectors: Sequence[Vector], vector: Vector) -> tuple[int, float]:
    """Which of the vectors is nearest, and its cosine; -1 where there is none."""
    if not vectors:
        return 0, -1.0
    cosines = np.stack(vectors) @ vector
    best = int(np.argmax(cosines))
    return best, float(cosines[best])
