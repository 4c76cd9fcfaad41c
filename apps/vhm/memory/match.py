"""How well memories fit a question (match), how sure that makes one (similarity), and when nothing fits.

    words      = min(1, sparse score / BM25(question, question))
    match      = 0.3 · calibrated cosine + 0.7 · words,  + 0.1 · (1 - match) if said in the period asked about
    similarity = match, read so that 0.75 is 0.85

Without words (hybrid recall off) match and similarity are the calibrated cosine. All are columns of n
candidates, within 0..1; none depends on which other candidates there are.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from vhm.memory.periods import Period

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MEANING_WEIGHT = 0.3
"""What the calibrated cosine counts; the words count the rest."""

PERIOD_WEIGHT = 0.1
"""What being said in the period asked about adds, of what a match lacks to 1."""

GOOD_MATCH, GOOD_SIMILARITY = 0.75, 0.85
"""A good match, and the similarity it is read as, from which a memory is retold as it was said: over 383
questions on real conversations the best answering turn reads .50 / .71 / .87 then (quartiles), and any turn
.16."""

FLOOR_GROWTH = 0.06
FLOOR_SIZE = 500
"""The floor is LEAST_MATCH for this many memories, and rises by the growth with each tenfold of them: the
greatest of many chance matches grows with their number."""

WEAK_MATCH, WEAK_COSINE = 0.4, 0.5
"""Shares of the greatest match and of the greatest cosine below both of which a candidate is weak. Over
conversations no answer is lost up to cosine shares of .7; of short notes .6 loses some that say the same in
other words ("I left the depot and started at the harbour" where one worked)."""


def words_share(scores: Floats, self_score: float) -> Floats | None:
    """The share of the question's words that candidates hold, by their sparse scores and the score of the
    question itself; None for a question without stems, which meaning alone can answer."""
    return np.clip(scores / self_score, 0.0, 1.0) if self_score > 0 else None


def match(meaning: Floats, words: Floats | None, in_period: Flags | None = None) -> Floats:
    """The match of candidates, by their calibrated cosines, their share of words and whether they were said
    in the period asked about (None where there is none)."""
    by_meaning, by_words = shares(meaning, words)
    fit = np.clip(by_meaning + by_words, 0.0, 1.0)
    return fit if in_period is None else fit + PERIOD_WEIGHT * (1 - fit) * in_period


def shares(meaning: Floats, words: Floats | None) -> tuple[Floats, Floats]:
    """What the calibrated cosines and the shares of words add to the match."""
    if words is None:
        return meaning, np.zeros_like(meaning)
    return MEANING_WEIGHT * meaning, (1 - MEANING_WEIGHT) * words


def said_in(period: Period, moments: Floats) -> Flags:
    """Which candidates were said in the period, by when they were (seconds since 1970)."""
    within: Flags = (moments >= period.start.timestamp()) & (moments < period.end.timestamp())
    return within


def similarity(match: Floats) -> Floats:
    """How matches of meaning and words read as similarity."""
    read: Floats = np.interp(match, (0.0, GOOD_MATCH, 1.0), (0.0, GOOD_SIMILARITY, 1.0))
    return read


def floor(least_match: float, memories: int) -> float:
    """The match that the best of so many memories must reach, or nothing is relevant. 0 is no floor."""
    if least_match <= 0:
        return 0.0
    return max(0.0, least_match + FLOOR_GROWTH * math.log10(max(1, memories) / FLOOR_SIZE))


def weak(match: Floats, cosines: Floats) -> Flags:
    """Which candidates are far from the best by match and by cosine alike; these are no beats."""
    below: Flags = match < WEAK_MATCH * match.max(initial=0.0)
    below &= cosines < WEAK_COSINE * cosines.max(initial=0.0)
    return below
