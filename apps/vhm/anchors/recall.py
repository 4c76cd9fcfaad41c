"""A recall in rounds: each is one request, and most are settled by the first.

Qdrant's formula only scores what its prefetch by cosine returned, so an answer stands once nothing outside
the prefetch can be stronger: none there is nearer than the last one in it, and none is more salient than
the most salient that may answer. Until then the prefetch is widened. Where repeats leave fewer beats than
asked for, further pages of the same order are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import msgspec
import numpy as np
from qdrant_client import models

from vhm.anchors import search
from vhm.anchors.payload import dense, from_payload, point_id
from vhm.anchors.ranking import Candidate, Ranking, by_meaning, rank
from vhm.anchors.types import Calibration, Query

PAGE_SPARE = 8
"""Candidates returned beyond the beats asked for: room for repeats."""

PAGE_MOST = 512
"""Candidates in one page at most: with their vectors that is some 4 MB."""

PREFETCH = 128
WIDER = 4


class Widening(msgspec.Struct, frozen=True, kw_only=True):
    """What all recalls of a store share."""

    calibration: Calibration
    exact: bool
    """Whether the server compares every vector instead of walking its graph."""


class Recall:
    """One query on its way to a settled ranking."""

    REQUESTS: ClassVar[int] = 3

    def __init__(self, query: Query, settings: Widening, page: int = 0) -> None:
        self.settled = False
        self.ranking: Ranking = rank([], query, np.empty(0))
        self._query = query
        self._settings = settings
        self._may = search.eligible(query)
        self._read: dict[object, Candidate] = {}
        self._offset = 0
        self._page = max(query.limit + PAGE_SPARE, page)
        self._prefetch = max(PREFETCH, WIDER * self._page)

    def requests(self) -> list[models.QueryRequest]:
        """The next round: a page of the strongest, the nearest one outside, the most salient."""
        query, prefetch, exact = self._query, self._prefetch, self._settings.exact
        page = search.strongest(
            query,
            self._settings.calibration,
            self._may,
            prefetch=prefetch,
            offset=self._offset,
            limit=self._page,
            exact=exact,
        )
        outside = search.last_nearest(query, self._may, prefetch=prefetch, exact=exact)
        return [page, outside, search.most_salient(self._may)]

    def excluded(self, limit: int) -> models.QueryRequest:
        """The strongest of those that this recall is not to look at."""
        others = models.Filter(must_not=[self._may])
        return search.strongest(
            self._query,
            self._settings.calibration,
            others,
            prefetch=max(PREFETCH, WIDER * limit),
            offset=0,
            limit=limit,
            exact=self._settings.exact,
        )

    def take(self, answers: Sequence[list[models.ScoredPoint]]) -> None:
        """The answers to `requests`. Sets `settled` when no further round is needed."""
        page, outside, salient = answers
        read = self._read | {candidate.anchor_id: candidate for candidate in candidates(page)}
        found = list(read.values())
        self.ranking = rank(found, self._query, by_meaning(found, self._query, self._settings.calibration))
        bound = self._bound(outside, salient)
        full = len(page) == self._page
        if self.ranking.settled > -np.inf or not full:
            self.settled = bound <= self.ranking.settled
            if not self.settled:
                self._prefetch *= WIDER
        elif bound <= page[-1].score:  # the order is right so far, and there is more of it
            self._read = read
            self._offset += self._page
            self._page = min(self._page * WIDER, PAGE_MOST)
            self._prefetch = max(self._prefetch, WIDER * (self._offset + self._page))
        else:
            self._prefetch *= WIDER

    def _bound(self, outside: list[models.ScoredPoint], salient: list[models.ScoredPoint]) -> float:
        """No anchor outside the prefetch has a higher activation; -inf when there is none."""
        if not outside:
            return -np.inf
        similarity = float(self._settings.calibration.similarity(np.array([outside[0].score]))[0])
        return similarity * search.salience_of(salient)


def candidates(points: Sequence[models.ScoredPoint]) -> list[Candidate]:
    """The anchors among `points`; whatever else another program put there is none."""
    found = []
    for point in points:
        anchor_id, content, vector = point_id(point.id), from_payload(point.payload), dense(point.vector)
        if anchor_id is not None and content is not None and vector is not None:
            found.append(Candidate(anchor_id=anchor_id, content=content, vector=vector))
    return found
