"""How rare words are in a collection, remembered for a while."""

from __future__ import annotations

import time
from collections.abc import Iterable

from qdrant_client import models

from vhm.anchors.qdrant import sparse
from vhm.anchors.qdrant.experience import Count
from vhm.anchors.qdrant.requests import Request
from vhm.anchors.qdrant.together import Ask
from vhm.memory import bm25

KEPT_SECONDS = 30.0
DRIFT = 100
"""Known again from the server after so long, or once the collection has grown by a hundredth of itself: an
idf moves by less than a hundredth meanwhile."""

MOST = 50_000
"""Words remembered at most."""


class Rarities:
    """The idf of stems."""

    def __init__(self) -> None:
        self._known: dict[str, float] = {}
        self._points = 0
        self._since = 0.0

    def settle(self, points: int) -> None:
        """Forget what no longer holds now that the collection has so many points."""
        drifted = abs(points - self._points) * DRIFT > self._points
        if drifted or len(self._known) > MOST or time.monotonic() - self._since > KEPT_SECONDS:
            self._known, self._points, self._since = {}, points, time.monotonic()

    async def of(self, terms: Iterable[str], ask: Ask, count: Count) -> dict[str, float]:
        """The idf of each of the stems. A word alone scores rarity times weight, and the weight is known
        from the text; `ask` queries the collection, `count` says how many points, more or less, meet
        conditions."""
        wanted = list(terms)
        unknown = [term for term in wanted if term not in self._known]
        found = {term: self._known[term] for term in wanted if term in self._known}
        if unknown:
            unheard = []
            for term, points in zip(unknown, await ask([_strongest(term) for term in unknown]), strict=True):
                content = points[0].content() if points else None
                weight = sparse.weights(content).get(term, 0.0) if content is not None else 0.0
                if weight:
                    found[term] = points[0].score / weight
                else:
                    unheard.append(term)
            if unheard:
                found |= dict.fromkeys(unheard, bm25.idf(await count(models.Filter()), 0))
            self._known |= found
        return found


def _strongest(term: str) -> Request:
    return Request(
        query=sparse.of_terms([term]), using=sparse.WORDS, limit=1, with_payload=["text", "stored_at"]
    )
