"""The activation of a recall's candidates against their age, as points of a drawing. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from vhm.contract.explain import Candidate

WIDTH, HEIGHT = 640.0, 240.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 20.0, 26.0, 34.0
"""Room for the axes around the points."""

_AGES = (
    (1 / 24, "1 hour"),
    (1.0, "1 day"),
    (7.0, "1 week"),
    (30.0, "1 month"),
    (365.0, "1 year"),
    (3_650.0, "10 years"),
)


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate in the drawing; `place` is that of a beat, from 1, and 0 of what was left out."""

    x: float
    y: float
    radius: float
    place: int
    text: str


class Tick(msgspec.Struct, frozen=True):
    """A mark at an axis."""

    at: float
    label: str


class Plot(msgspec.Struct, frozen=True, kw_only=True):
    """Ages grow to the right, by their logarithm; activations upwards."""

    points: Sequence[Point]
    ages: Sequence[Tick]
    activations: Sequence[Tick]


def plot(candidates: Sequence[Candidate]) -> Plot | None:
    """The drawing; None without candidates."""
    if not candidates:
        return None
    oldest = max(1 / 12, *(one.age_days for one in candidates))
    highest = max(0.1, *(one.activation for one in candidates))

    def across(days: float) -> float:
        share = math.log1p(max(0.0, days) * 24) / math.log1p(oldest * 24)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def up(activation: float) -> float:
        return round(HEIGHT - BOTTOM - max(0.0, activation) / highest * (HEIGHT - TOP - BOTTOM), 1)

    place = 0
    points: list[Point] = []
    for one in candidates:
        place += one.left_out is None
        points.append(
            Point(
                x=across(one.age_days),
                y=up(one.activation),
                radius=round(4 * math.sqrt(max(0.1, one.salience)), 1),
                place=place if one.left_out is None else 0,
                text=one.text,
            )
        )
    step = 0.25 if highest > 0.5 else 0.1
    return Plot(
        points=points,
        ages=[Tick(across(days), label) for days, label in _AGES if days <= oldest],
        activations=[
            Tick(up(number * step), f"{number * step:.2f}") for number in range(int(highest / step) + 1)
        ],
    )
