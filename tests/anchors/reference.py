"""Recall by brute force, as the rules read: what the stores are held against."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import pairwise

import numpy as np

from vhm.anchors import Query
from vhm.contract.messages import Anchor
from vhm.embedding import Calibration
from vhm.memory import bm25
from vhm.memory.anchor_terms import TurnTerms, sparse_vector, turn_terms
from vhm.memory.question import question

SECONDS_PER_DAY = 86_400


def recall(
    anchors: Sequence[Anchor],
    vectors: np.ndarray,
    query: Query,
    calibration: Calibration,
    hybrid: bool = False,
) -> list[tuple[Anchor, float]]:
    """Beats and their activations, strongest first."""
    scored = ranked(anchors, vectors, query, calibration, hybrid)
    chosen: list[int] = []
    resembling: list[int] = []
    for *_, row in scored:
        if len(chosen) == query.limit:
            break
        if any(_text(anchors[row]) == _text(anchors[other]) for other in chosen):
            continue
        if any(vectors[row] @ vectors[other] >= query.diversity_threshold - 1e-6 for other in chosen):
            resembling.append(row)
        else:
            chosen.append(row)
    for row in resembling:
        if len(chosen) < query.limit and _text(anchors[row]) not in {_text(anchors[o]) for o in chosen}:
            chosen.append(row)
    strength = {row: activation for _, activation, _, row in scored}
    order = [row for *_, row in scored if row in chosen]
    return [(anchors[row], strength[row]) for row in order]


def ranked(
    anchors: Sequence[Anchor],
    vectors: np.ndarray,
    query: Query,
    calibration: Calibration,
    hybrid: bool = False,
) -> list[tuple[bool, float, float, int]]:
    """Whether it is of the period asked for, activation, cosine and row of all that are eligible, strongest
    first."""
    cosines = vectors.astype(np.float64) @ query.vector.astype(np.float64)
    meaning = [float(calibration.similarity(cosine)) for cosine in cosines]
    similarities = with_words(anchors, query, meaning) if hybrid else meaning
    only_time = hybrid and question(query.text, query.now).only_time
    scored = []
    for row, anchor in enumerate(anchors):
        age = (query.now - anchor.stored_at).total_seconds()
        if age < query.min_age_seconds or age < 0 or anchor.anchor_id in query.ignore:
            continue
        if query.session_id is not None and anchor.meta.get("session") == query.session_id:
            continue
        base = math.exp(-query.decay_lambda * age / SECONDS_PER_DAY) * anchor.salience
        activation = similarities[row] * base**query.base_level_weight
        scored.append((only_time and in_period(anchor, query), activation, float(cosines[row]), row))
    scored.sort(reverse=True)
    return scored


def tied(
    anchors: Sequence[Anchor],
    vectors: np.ndarray,
    query: Query,
    calibration: Calibration,
    hybrid: bool = False,
) -> bool:
    """Whether two activations differ by less than cosines of float32 tell: then either order is right."""
    activations = [activation for _, activation, _, _ in ranked(anchors, vectors, query, calibration, hybrid)]
    return any(0 < strong - weak < 1e-7 * strong for strong, weak in pairwise(activations))


def with_words(anchors: Sequence[Anchor], query: Query, meaning: Sequence[float]) -> list[float]:
    """Similarities of meaning and words."""
    asked = question(query.text, query.now)
    held = [sparse(anchors, row) for row in range(len(anchors))]

    def idf(term: str) -> float:
        return bm25.idf(len(anchors), sum(term in vector for vector in held))

    most = sum(weight * idf(term) for term, weight in asked.terms.weights().items())
    found = []
    for row, anchor in enumerate(anchors):
        score = sum(held[row].get(term, 0.0) * idf(term) for term in asked.weights)
        match = 0.3 * meaning[row] + 0.7 * min(1.0, score / most) if most > 0 else meaning[row]
        if in_period(anchor, query):
            match += 0.1 * (1 - match)
        found.append(match / 0.75 * 0.85 if match < 0.75 else 0.85 + (match - 0.75) / 0.25 * 0.15)
    return found


def in_period(anchor: Anchor, query: Query) -> bool:
    """Whether it was said in the period that the question names."""
    period = question(query.text, query.now).period
    return period is not None and period.start <= anchor.stored_at < period.end


def sparse(anchors: Sequence[Anchor], row: int) -> Mapping[str, float]:
    """The sparse vector of an anchor among others."""
    return sparse_vector(terms(anchors[row]), [terms(one) for one in before(anchors, row)])


def terms(anchor: Anchor) -> TurnTerms:
    """What an anchor puts into sparse vectors."""
    return turn_terms(anchor.text, anchor.stored_at, anchor.meta.get("speaker"))


def before(anchors: Sequence[Anchor], row: int) -> list[Anchor]:
    """The three turns before one in its session, the nearest first, each within the hour of the next."""
    one = anchors[row]
    if not isinstance(one.meta.get("session"), str):
        return []
    turns = [other for other in anchors if other.meta.get("session") == one.meta["session"]]
    earlier = [
        other for other in turns if (other.stored_at, other.anchor_id) < (one.stored_at, one.anchor_id)
    ]
    earlier.sort(key=lambda other: (other.stored_at, other.anchor_id), reverse=True)
    found: list[Anchor] = []
    for other in earlier[:3]:
        if (found[-1] if found else one).stored_at - other.stored_at > timedelta(hours=1):
            break
        found.append(other)
    return found


def _text(anchor: Anchor) -> str:
    return anchor.text.strip().lower()
