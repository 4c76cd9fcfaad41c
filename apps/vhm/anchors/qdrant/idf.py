"""How many anchors an owner has, and how rare terms are among them, remembered for a while.

The server knows how rare a term is in the whole collection, which is right where one owner has all of it.
Where several share it, an owner's anchors that hold a term are counted, so that what others remember changes
nothing of what comes back.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

from vhm.anchors.qdrant import queries, sparse
from vhm.anchors.qdrant.client import ScoredPoint
from vhm.anchors.scope import Scope
from vhm.memory import bm25

KEPT_SECONDS = 600.0
KEPT_SHARED_SECONDS = 30.0
DRIFT = 100
"""Counted anew after so long, or once the collection has grown by a hundredth of itself: an idf moves by less
than a hundredth meanwhile. Of a collection that several share it tells nothing of how one owner's part grows,
so there it is sooner."""

MOST_TERMS = 50_000
"""Terms remembered at most."""

USUAL_SHARE = 1 / 200
"""How many anchors are taken to hold a term, until it is counted."""


class IdfCache:
    """The idf of terms, each in its scope."""

    def __init__(self) -> None:
        self._known: dict[tuple[Scope, str], float] = {}
        self._memories: dict[Scope, int] = {}
        self._points = 0
        self._since = 0.0

    def refresh(self, points: int, *, shared: bool = False) -> None:
        """Forget what no longer holds with so many points, all of one owner or `shared` by several."""
        drifted = abs(points - self._points) * DRIFT > self._points
        kept = KEPT_SHARED_SECONDS if shared else KEPT_SECONDS
        if drifted or len(self._known) > MOST_TERMS or time.monotonic() - self._since > kept:
            self._known, self._memories = {}, {}
            self._points, self._since = points, time.monotonic()

    def known(self, scope: Scope, terms: Iterable[str]) -> dict[str, float]:
        """The idf of those of the terms that were counted."""
        return {term: self._known[scope, term] for term in terms if (scope, term) in self._known}

    def learn(self, scope: Scope, answers: Mapping[str, Sequence[ScoredPoint]]) -> dict[str, float]:
        """The idf of terms, by what `queries.strongest_of` found for each: a score is rarity times weight.
        Nothing is found for a term that no anchor holds."""
        found = {}
        for term, points in answers.items():
            weight = sparse.score(points[0].words(), {sparse.number(term): 1.0}) if points else 0.0
            found[term] = points[0].score / weight if weight else bm25.idf(self._points, 0)
        self._known |= {(scope, term): rarity for term, rarity in found.items()}
        return found

    def memories(self, scope: Scope) -> int | None:
        """How many anchors the owner has, if they were counted."""
        return self._memories.get(scope)

    def count(
        self,
        scope: Scope,
        members: Sequence[ScoredPoint] | None,
        holders: Mapping[str, Sequence[ScoredPoint]],
    ) -> dict[str, float]:
        """The idf of terms among an owner's own anchors, by what `queries.holders` found for each; `members`
        is the answer to `queries.members`, unless the owner's anchors were counted before."""
        if members is not None:
            saturated = len(members) >= queries.COUNTED
            self._memories[scope] = max(self._points, queries.COUNTED) if saturated else len(members)
        memories = self._memories[scope]
        found = {term: bm25.idf(memories, len(points)) for term, points in holders.items()}
        self._known |= {(scope, term): rarity for term, rarity in found.items()}
        return found

    def forget(self, scope: Scope) -> None:
        """Count an owner's anchors anew."""
        self._memories.pop(scope, None)
        for key in [key for key in self._known if key[0] == scope]:
            del self._known[key]

    def usual(self) -> float:
        """The idf taken for a term until it is counted."""
        return bm25.idf(self._points, round(self._points * USUAL_SHARE))
