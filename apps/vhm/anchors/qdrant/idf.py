"""How rare terms are in a collection, remembered for a while."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

from qdrant_client import models

from vhm.anchors.qdrant import sparse
from vhm.anchors.scope import Scope
from vhm.memory import bm25

KEPT_SECONDS = 30.0
DRIFT = 100
"""Counted anew after so long, or once the collection has grown by a hundredth of itself: an idf moves by less
than a hundredth meanwhile."""

MOST_TERMS = 50_000
"""Terms remembered at most."""

USUAL_SHARE = 1 / 200
"""How many anchors are taken to hold a term, until it is counted."""


class IdfCache:
    """The idf of terms, each in its scope."""

    def __init__(self) -> None:
        self._known: dict[tuple[Scope, str], float] = {}
        self._points = 0
        self._since = 0.0

    def refresh(self, points: int) -> None:
        """Forget what no longer holds now that the collection has so many points."""
        drifted = abs(points - self._points) * DRIFT > self._points
        if drifted or len(self._known) > MOST_TERMS or time.monotonic() - self._since > KEPT_SECONDS:
            self._known, self._points, self._since = {}, points, time.monotonic()

    def known(self, scope: Scope, terms: Iterable[str]) -> dict[str, float]:
        """The idf of those of the terms that were counted."""
        return {term: self._known[scope, term] for term in terms if (scope, term) in self._known}

    def learn(self, scope: Scope, answers: Mapping[str, Sequence[models.ScoredPoint]]) -> dict[str, float]:
        """The idf of terms, by what `queries.strongest_of` found for each: a score is rarity times weight.
        Nothing is found for a term that no anchor holds."""
        found = {}
        for term, points in answers.items():
            weight = sparse.from_vector(points[0].vector).get(sparse.number(term), 0.0) if points else 0.0
            found[term] = points[0].score / weight if weight else bm25.idf(self._points, 0)
        self._known |= {(scope, term): rarity for term, rarity in found.items()}
        return found

    def usual(self) -> float:
        """The idf taken for a term until it is counted."""
        return bm25.idf(self._points, round(self._points * USUAL_SHARE))
