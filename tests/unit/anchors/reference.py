"""Recall by brute force, as the rules read: what the stores are held against."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from vhm.anchors import Query
from vhm.contract.messages import Anchor
from vhm.embedding import Calibration

SECONDS_PER_DAY = 86_400


def recall(
    anchors: Sequence[Anchor], vectors: np.ndarray, query: Query, calibration: Calibration
) -> list[tuple[Anchor, float]]:
    """Beats and their activations, strongest first."""
    cosines = vectors.astype(np.float64) @ query.vector.astype(np.float64)
    scored = []
    for row, anchor in enumerate(anchors):
        age = (query.now - anchor.stored_at).total_seconds()
        if age < 5 or anchor.anchor_id in query.ignore:
            continue
        if query.session_id is not None and anchor.meta.get("session") == query.session_id:
            continue
        similarity = float(calibration.similarity(cosines[row]))
        activation = similarity * math.exp(-query.decay_lambda * age / SECONDS_PER_DAY) * anchor.salience
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


def _text(anchor: Anchor) -> str:
    return anchor.text.strip().lower()
