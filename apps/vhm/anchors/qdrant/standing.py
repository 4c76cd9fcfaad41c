"""Who is ahead in a recall by meaning and words, as far as is known, and what could still change it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from vhm.anchors.qdrant.found import Found
from vhm.anchors.qdrant.surroundings import Surroundings
from vhm.anchors.scoring import Floats, Ranking, rank
from vhm.anchors.types import Query
from vhm.memory import similarity

RANKED_SPARE = 8
"""Beyond the beats asked for, so many are ranked at first: room for what repeats or resembles."""

TIE = 1e-9
"""Relative difference of strengths below which the exact order decides."""


class Beyond(msgspec.Struct, frozen=True):
    """What may be said of anchors that were not found: whether there are any that may answer, and what one
    has of its own at most."""

    any: bool = False
    own: float = 0.0


def similarities(found: Found, known: Surroundings) -> Floats:
    """As far as the neighbours are known."""
    lent = np.where(found.memory, found.own, 0.0)  # what is no memory yet lends nothing either
    loudest = np.zeros(len(found))
    for row, instant in enumerate(found.instants):
        if instant is not None and (beside := known.around(instant)):
            loudest[row] = max(lent[found.rows[one]] for one in beside)
    return similarity.lifted(found.own, loudest)


class Standing:
    """Of the anchors found, by what is known of their neighbours, when so many beats are `wanted`."""

    def __init__(self, found: Found, known: Surroundings, beyond: Beyond, query: Query, wanted: int) -> None:
        self._found = found
        self._known = known
        self._beyond = beyond
        self._query = query
        self._similarities = similarities(found, known)
        self._strengths = np.where(found.may, self._similarities * found.factors, -np.inf)
        self._order: list[int] = np.argsort(-self._strengths)[: np.count_nonzero(found.may)].tolist()
        self._first = self._order[:wanted]
        self._ranked_at_first = wanted + RANKED_SPARE
        self.ranking = self._ranked()
        """Of those whose embedding is known."""
        self.bare = self._bare()
        """Rows whose embedding must be known next; none once the beats are."""

    def doubtful(self) -> list[int]:
        """Rows whose neighbours may make a beat of them, or may become one by them, most likely first; and
        the strongest, so that their similarity is exact."""
        found, beyond, bar = self._found, self._beyond, self._bar()
        open_ = np.array([self._known.open(at) for at in found.instants], dtype=bool)
        if not open_.any():
            return []
        loudest = np.maximum(found.loudest_near(), beyond.own)
        risen = similarity.lifted(found.own, loudest) * found.factors
        doubtful = open_ & found.may & (loudest > found.own) & (risen >= bar)
        doubtful[self._first] |= open_[self._first]
        if beyond.any:
            lifted = similarity.lifted(np.minimum(found.own, beyond.own), found.own)
            lifting = lifted * np.maximum(found.factors, found.decays)
            doubtful |= open_ & found.memory & (found.own > beyond.own) & (lifting >= bar)
            risen = np.maximum(risen, lifting)
        rows: list[int] = np.flatnonzero(doubtful).tolist()
        return sorted(rows, key=lambda row: -risen[row])

    def _bare(self) -> list[int]:
        bare = [row for row in self._order if row not in self._found.vectors]
        if self.ranking.settled > -np.inf:
            bar = min(self._strengths[self._first[-1]], self.ranking.settled)
            bare = [row for row in bare if self._strengths[row] >= bar]
        return bare[: self._ranked_at_first]

    def _bar(self) -> float:
        """What an anchor has to reach to be a beat."""
        if self.ranking.settled > -np.inf or len(self._order) == len(self._first):
            return self.ranking.settled
        return float(self._strengths[self._first[-1]]) if self.bare else -np.inf

    def _ranked(self) -> Ranking:
        """The strongest, or all where too many of these are alike."""
        rows = [row for row in self._order if row in self._found.vectors]
        if len(rows) > self._ranked_at_first:
            strengths = self._strengths[rows]
            last = strengths[self._ranked_at_first - 1]
            ranking = self._rank(rows[: np.count_nonzero(strengths >= last - abs(last) * TIE)])
            if ranking.settled > -np.inf:
                return ranking
        return self._rank(rows)

    def _rank(self, rows: Sequence[int]) -> Ranking:
        return rank(self._found.candidates(rows), self._query, self._similarities[list(rows)])
