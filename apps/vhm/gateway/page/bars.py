"""The parts of a candidate's activation as the parts of a bar. Pure.

    similarity = what meaning, words and period make of the match
    activation = similarity x decay^w x salience^w

A bar first shows the similarity by its three sources, then what age takes from its end, then what salience
adds there or takes.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from vhm.contract.explain import Candidate, Explanation

WIDTH = 240.0
"""Units of the longest bar."""


class Segment(msgspec.Struct, frozen=True):
    """A part of a bar: what it stands for, where it begins and how long it is, in units of `WIDTH`."""

    part: str
    x: float
    width: float


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate and its bar; `end` is where its activation is. `age` and `salience` are factors."""

    candidate: Candidate
    segments: Sequence[Segment]
    end: float
    period: float
    age: float
    salience: float


def bars(explanation: Explanation) -> list[Bar]:
    """A bar for each candidate, all on one scale."""
    candidates, weight = explanation.candidates, explanation.base_level_weight
    longest = max((max(one.similarity, one.activation) for one in candidates), default=0.0)
    scale = WIDTH / longest if longest > 0 else 0.0
    return [_bar(one, weight, scale) for one in candidates]


def _bar(one: Candidate, weight: float, scale: float) -> Bar:
    period = max(0.0, one.match - one.meaning - one.words)
    sources = {"meaning": max(0.0, one.meaning), "words": max(0.0, one.words), "period": period}
    whole = sum(sources.values())
    similarity = max(0.0, one.similarity)
    segments: list[Segment] = []
    x = 0.0
    for part, share in sources.items():
        width = similarity * share / whole if whole > 0 else 0.0
        segments.append(_segment(part, x, x + width, scale))
        x += width
    age, salience = one.decay**weight, max(0.0, one.salience) ** weight
    aged = similarity * age
    end = aged * salience
    segments.append(_segment("faded", aged, similarity, scale))
    segments.append(_segment("salient" if end >= aged else "slight", min(aged, end), max(aged, end), scale))
    return Bar(
        candidate=one,
        segments=[segment for segment in segments if segment.width >= 0.05],
        end=round(end * scale, 1),
        period=period,
        age=age,
        salience=salience,
    )


def _segment(part: str, start: float, end: float, scale: float) -> Segment:
    return Segment(part, round(start * scale, 1), round((end - start) * scale, 1))
