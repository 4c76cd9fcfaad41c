"""Similarity of a memory to a question by meaning and by words, with the time and the people it names and
the turns around it.

    blend      = 0.4 · calibrated cosine + 0.6 · BM25(query, anchor) / BM25(query, query)
    own        = blend, raised by a tenth of what it lacks to 1 where the question names a time and the
                 anchor was said then, where it asks when and the anchor tells a time, and where it names
                 the one who said the anchor
    raised     = own, raised by half of what it lacks to the stronger neighbour in its session
    similarity = raised, read so that what matches well (0.75) is told verbatim (0.85), 0 and 1 staying

All are within 0..1, and an exact match is 1. No score hangs on which other anchors are candidates: a
neighbour is looked up, whether it was found or not. The last step leaves the order as it is; without it
two parts that seldom agree would make every memory sound vague.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
import numpy as np
from numpy.typing import NDArray

from vhm.memory import bm25, forgetting, periods, time_expressions
from vhm.memory.tokenizer import words
from vhm.memory.utterance import speaker

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

NEIGHBOUR_SECONDS = timedelta(hours=1).total_seconds()
"""Turns further apart than this are no neighbours, though of one session."""


READINGS = 4_096
"""Anchors' texts remembered as they were read: some 10 MB."""


class Blend(msgspec.Struct, frozen=True, kw_only=True):
    """How much each part counts; 0 leaves it out."""

    meaning: float = 0.4
    in_period: float = 0.1
    tells_time: float = 0.1
    by_named: float = 0.1
    neighbour: float = 0.5


BLEND = Blend()

GOOD = 0.75
"""What a good match comes to, as `forgetting.HIGH` is what it is to be: over 383 questions on real
conversations the best answering turn reads 0.57 / 0.71 / 0.85 then (quartiles; MiniLM alone 0.60 / 0.72 /
0.84), and any turn 0.29 (median)."""


class Question(msgspec.Struct, frozen=True):
    """What a query asks, beside its embedding. `names` are all its words: any may be somebody's name."""

    terms: bm25.Terms
    names: frozenset[str]
    asks_when: bool
    period: periods.Period | None


class Reading(msgspec.Struct, frozen=True):
    """What an anchor is to hybrid recall, whatever is asked: when it was said (seconds since 1970), its BM25
    weights, whether it says when, and who says it."""

    moment: float
    weights: dict[str, float]
    tells_time: bool
    speaker: tuple[str, ...]


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What counts of n anchors beside their meaning and their words, as columns."""

    moments: Floats
    """When they were said, in seconds since 1970."""

    tell_time: Flags
    """Whether they hold words that say when."""

    by_named: Flags
    """Whether the question names who said them."""


def question(text: str, now: datetime) -> Question:
    """A query as hybrid recall reads it at `now`."""
    spoken, named = words(text), periods.named_period(text, now)
    return Question(
        bm25.terms(spoken),
        frozenset(spoken),
        time_expressions.asks_when(text),
        named.period if named else None,
    )


def read(text: str, said_at: datetime) -> Reading:
    """An anchor's text as hybrid recall reads it. Anchors never change, and those that are strong for one
    question are for the next, so what was read is remembered."""
    return _read(text, said_at, said_at.utcoffset())


@functools.lru_cache(maxsize=READINGS)
def _read(text: str, said_at: datetime, offset: timedelta | None) -> Reading:
    # the same moment by another clock is equal to it, but may be another day
    spoken = words(text)
    weights = bm25.terms(spoken, said_at).weights()
    return Reading(said_at.timestamp(), weights, time_expressions.tells_time(spoken), tuple(speaker(text)))


def told(asked: Question, readings: Sequence[Reading]) -> Told:
    """What counts of a few anchors (`Lexicon` knows many)."""
    return Told(
        moments=np.array([one.moment for one in readings]),
        tell_time=np.array([one.tells_time for one in readings], dtype=bool),
        by_named=np.array([not asked.names.isdisjoint(one.speaker) for one in readings], dtype=bool),
    )


def blended(asked: Question, meaning: Floats, wording: Floats, beside: Told, blend: Blend = BLEND) -> Floats:
    """What n anchors have of their own for the question, 0..1: of their calibrated cosines, their relevance
    (`bm25.Measure`) and what else counts."""
    own: Floats = blend.meaning * meaning + (1 - blend.meaning) * wording
    np.clip(own, 0.0, 1.0, out=own)
    if asked.period is not None:
        start, end = asked.period.start.timestamp(), asked.period.end.timestamp()
        own += blend.in_period * (1 - own) * ((beside.moments >= start) & (beside.moments < end))
    if asked.asks_when:
        own += blend.tells_time * (1 - own) * beside.tell_time
    own += blend.by_named * (1 - own) * beside.by_named
    return own


def lifted(own: Floats, strongest_neighbour: Floats, blend: Blend = BLEND) -> Floats:
    """The similarities: `own` raised towards the stronger neighbour of each, and read (see above)."""
    raised = own + blend.neighbour * np.maximum(0.0, strongest_neighbour - own)
    similarities: Floats = np.interp(raised, (0.0, GOOD, 1.0), (0.0, forgetting.HIGH, 1.0))
    return similarities


class Order:
    """Anchors of the same session in the order they were said: who is whose neighbour.

    `sessions` are n numbers, negative for none; `moments` seconds since 1970. Anchors said in the same
    instant are neighbours of what came before and after that instant, not of one another.
    """

    def __init__(self, sessions: NDArray[np.int64], moments: Floats) -> None:
        self._rows = np.lexsort((moments, sessions))
        ordered, at = sessions[self._rows], moments[self._rows]
        new = np.ones(len(at), dtype=bool)
        new[1:] = (ordered[1:] != ordered[:-1]) | (at[1:] != at[:-1])
        self._starts = np.flatnonzero(new)
        self._instant = np.cumsum(new) - 1
        first, when = ordered[self._starts], at[self._starts]
        near = np.diff(when, append=np.inf) <= NEIGHBOUR_SECONDS
        near[:-1] &= (first[1:] == first[:-1]) & (first[1:] >= 0)
        near[-1:] = False
        self._followed = near

    def strongest(self, own: Floats) -> Floats:
        """For each anchor the greater `own` of what was said just before and just after it; 0 for none.

        What is not to be known at the moment of asking (said later) lends nothing where its `own` is 0.
        """
        instants = np.zeros(len(self._starts))
        if len(self._starts):
            instants = np.maximum.reduceat(own[self._rows], self._starts)
        around = np.zeros(len(instants))
        around[:-1] = np.where(self._followed[:-1], instants[1:], 0.0)
        around[1:] = np.maximum(around[1:], np.where(self._followed[:-1], instants[:-1], 0.0))
        found = np.empty(len(own))
        found[self._rows] = around[self._instant]
        return found
