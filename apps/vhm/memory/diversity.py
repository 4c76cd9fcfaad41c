"""Which of the strongest memories to keep so that they do not all say the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

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
    vectors: npt.NDArray[np.floating], texts: Sequence[str], limit: int, threshold: float
) -> Choice:
    """At most `limit` candidates that differ from one another, strongest first.

    `vectors` is (n, d) of unit length and `texts` n strings, strongest first. When fewer than `limit`
    differ enough, the strongest of those left out for their embedding fill the list; a repeated text
    never comes back.
    """
    chosen: list[int] = []
    left_out: dict[int, LeftOut] = {}
    by_text: dict[str, int] = {}
    keys = [text.strip().lower() for text in texts]
    for index, key in enumerate(keys):
        if len(chosen) >= limit:
            left_out[index] = LeftOut("weaker")
        elif key in by_text:
            left_out[index] = LeftOut("repeats", by_text[key])
        else:
            near = _nearest(vectors, index, chosen)
            if near is not None and near[1] >= threshold - _ROUNDING:
                left_out[index] = LeftOut("resembles", *near)
            else:
                chosen.append(index)
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


def _nearest(vectors: npt.NDArray[np.floating], index: int, chosen: list[int]) -> tuple[int, float] | None:
    if not chosen:
        return None
    cosines = vectors[chosen] @ vectors[index]
    best = int(np.argmax(cosines))
    return chosen[best], float(cosines[best])
