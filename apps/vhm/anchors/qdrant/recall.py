"""A recall by meaning: two requests, and the answer is that of a search through everything.

Qdrant's formula only scores what its prefetches by cosine returned. The first request scores the nearest
few of each band of salience and learns the greatest salience there is. What is not among them changes the
answer only if it is near enough to beat the weakest beat found, were it new and the most salient of its
band; so the second request scores everything from that cosine on. Where repeats leave fewer beats than
asked for, further pages of the same order are read. Where the server walks its graph instead of comparing
every vector, the first request is all there is, and the answer is as near as the graph.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from qdrant_client import models

from vhm.anchors.payload import dense
from vhm.anchors.qdrant import queries as search
from vhm.anchors.qdrant.requests import Request
from vhm.anchors.qdrant.wire import Point
from vhm.anchors.scoring import Candidate, Ranking, by_meaning, rank
from vhm.anchors.types import Calibration, Query

PAGE_SPARE = 8
"""Candidates returned beyond the beats asked for: room for repeats."""

PAGE_MOST = 512
"""Candidates in one page at most: with their vectors that is some 4 MB."""

PREFETCH = 256
WIDER = 4

ROUNDING = 1e-5
"""Scores come as float32."""


class Widening(msgspec.Struct, frozen=True, kw_only=True):
    """What all recalls at a time share. `exact`: the server compares every vector instead of walking its
    graph; `anchors`: no fewer than the collection holds."""

    calibration: Calibration
    exact: bool
    anchors: int


class Recall:
    """One query on its way to a settled ranking."""

    def __init__(self, query: Query, settings: Widening, page: int = 0) -> None:
        self.settled = False
        self.ranking: Ranking = rank([], query, np.empty(0))
        self._query = query
        self._settings = settings
        self._may = search.eligible(query)
        self._read: dict[object, Candidate] = {}
        self._offset = 0
        self._page = max(query.limit + PAGE_SPARE, page)
        self._prefetch = max(PREFETCH, self._page)
        self._from_cosines: dict[int, float] | None = None
        # a graph is walked for the nearest few, not for all that are near enough
        self._complete = settings.anchors <= self._prefetch or not settings.exact

    def requests(self) -> list[Request]:
        """The next round: a page of the strongest and, until all that counts is prefetched, the most
        salient."""
        page = search.strongest(
            self._query,
            self._settings.calibration,
            self._may,
            prefetch=self._prefetch,
            from_cosines=self._from_cosines,
            offset=self._offset,
            limit=self._page,
            exact=self._settings.exact,
        )
        return [page] if self._complete else [page, search.most_salient(self._may)]

    def excluded(self, limit: int) -> Request:
        """The strongest of those that this recall is not to look at."""
        return search.strongest(
            self._query,
            self._settings.calibration,
            models.Filter(must_not=[self._may]),
            prefetch=max(PREFETCH, limit),
            limit=limit,
            exact=self._settings.exact,
        )

    def take(self, answers: Sequence[list[Point]]) -> None:
        """The answers to `requests`. Sets `settled` when no further round is needed."""
        page = answers[0]
        self._read |= {candidate.anchor_id: candidate for candidate in candidates(page)}
        found = list(self._read.values())
        self.ranking = rank(found, self._query, by_meaning(found, self._query, self._settings.calibration))
        if not self._complete and len(page) == self._page:
            self._widen(search.salience_of(answers[1]))
        elif len(page) == self._page and page[-1].score > self.ranking.settled + ROUNDING:
            self._offset += self._page
            self._page = min(self._page * WIDER, PAGE_MOST)
        else:
            self.settled = True

    def _widen(self, salience: float) -> None:
        """Prefetch all that could still be a beat."""
        self._complete = True
        self._prefetch = self._settings.anchors
        if self.ranking.settled == -np.inf:
            return
        wanted = {
            band: self.ranking.settled / min(top, salience) for band, top in enumerate(search.BAND_TOPS)
        }
        self._from_cosines = {
            band: self._cosine_of(similarity) - ROUNDING
            for band, similarity in wanted.items()
            if similarity < 1
        }
        self.settled = not self._from_cosines

    def _cosine_of(self, similarity: float) -> float:
        """The greatest cosine whose similarity is no more than this (by halving: it never falls)."""
        low, high = -1.0, 1.0
        for _ in range(30):
            middle = (low + high) / 2
            if float(self._settings.calibration.similarity(np.array([middle]))[0]) <= similarity:
                low = middle
            else:
                high = middle
        return low


def candidates(points: Sequence[Point]) -> list[Candidate]:
    """The anchors among `points`; whatever else another program put there is none."""
    found = []
    for point in points:
        anchor, vector = point.anchor(), dense(point.vector)
        if anchor is not None and vector is not None:
            found.append(Candidate(anchor_id=anchor[0], content=anchor[1], vector=vector))
    return found
