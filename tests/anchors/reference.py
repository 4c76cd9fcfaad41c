"""Recall by brute force, as the rules read: what the stores are held against."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta

import numpy as np

from vhm.anchors import Query
from vhm.contract.messages import Anchor
from vhm.embedding import Calibration
from vhm.memory import bm25, similarity
from vhm.memory.tokenizer import words

SECONDS_PER_DAY = 86_400


def recall(
    anchors: Sequence[Anchor],
    vectors: np.ndarray,
    query: Query,
    calibration: Calibration,
    words_too: bool = False,
) -> list[tuple[Anchor, float]]:
    """Beats and their activations, strongest first."""
    cosines = vectors.astype(np.float64) @ query.vector.astype(np.float64)
    meaning = [float(calibration.similarity(cosine)) for cosine in cosines]
    similarities = with_words(anchors, query, meaning) if words_too else meaning
    scored = []
    for row, anchor in enumerate(anchors):
        age = (query.now - anchor.stored_at).total_seconds()
        if age < 5 or anchor.anchor_id in query.ignore:
            continue
        if query.session_id is not None and anchor.meta.get("session") == query.session_id:
            continue
        activation = (
            similarities[row] * math.exp(-query.decay_lambda * age / SECONDS_PER_DAY) * anchor.salience
        )
        scored.append((activation, float(cosines[row]), row))
    scored.sort(reverse=True)

    chosen: list[int] = []
    resembling: list[int] = []
    for _, _, row in scored:
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
    strength = {row: activation for activation, _, row in scored}
    order = [row for _, _, row in scored if row in chosen]
    return [(anchors[row], strength[row]) for row in order]


def with_words(anchors: Sequence[Anchor], query: Query, meaning: Sequence[float]) -> list[float]:
    """Similarities of meaning and words, and of what was said just before and after in the session."""
    asked = similarity.question(query.text, query.now)
    weights = [bm25.terms(words(anchor.text), anchor.stored_at).weights() for anchor in anchors]

    def rarity(term: str) -> float:
        return bm25.idf(len(anchors), sum(term in held for held in weights))

    own = similarity.blended(
        asked,
        np.array(meaning),
        np.array([bm25.Measure(asked.terms, rarity).relevance(held) for held in weights]),
        similarity.told(asked, [similarity.read(anchor.text, anchor.stored_at) for anchor in anchors]),
    )
    around = [
        max(
            [
                own[other]
                for other in neighbours(anchors, row)
                if (query.now - anchors[other].stored_at).total_seconds() >= 5
            ],
            default=0.0,
        )
        for row in range(len(anchors))
    ]
    return list(similarity.lifted(own, np.array(around)))


def neighbours(anchors: Sequence[Anchor], row: int) -> list[int]:
    """Whatever was said in the same session at the instant just before, and just after, within an hour."""
    one = anchors[row]
    session = one.meta.get("session")
    if not isinstance(session, str):
        return []
    at = [other.stored_at for other in anchors if other.meta.get("session") == session]
    before = max((moment for moment in at if moment < one.stored_at), default=None)
    after = min((moment for moment in at if moment > one.stored_at), default=None)
    near = {m for m in (before, after) if m and abs(m - one.stored_at) <= timedelta(hours=1)}
    return [
        other
        for other, anchor in enumerate(anchors)
        if anchor.meta.get("session") == session and anchor.stored_at in near
    ]


def _text(anchor: Anchor) -> str:
    return anchor.text.strip().lower()
