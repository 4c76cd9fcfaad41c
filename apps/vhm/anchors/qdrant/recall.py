"""A recall from a server: one query for candidates, scored exactly here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vhm.anchors import scoring
from vhm.anchors.payload import Row, to_row
from vhm.anchors.qdrant import queries, sparse
from vhm.anchors.qdrant.client import ScoredPoint
from vhm.anchors.qdrant.collection import Collection
from vhm.anchors.qdrant.idf import IdfCache
from vhm.anchors.qdrant.queries import ScopedQuery
from vhm.anchors.scoring import Scorer
from vhm.anchors.types import Calibration, Query, Ranking

PAGE_MOST = 512
"""Candidates in one page at most: with their vectors that is some 4 MB."""

UNCOUNTED_WIDER = 2
"""Where nobody counted yet how rare a word of the question is, the server's scores are guesses, and so many
times more candidates keep .99 of the exact top three among them."""

EXACT_BELOW = 20_000
"""Points from which on a search walks the server's graph. Comparing every vector takes 25 ms at 100 000
points and finds what the graph misses, which is little (see tests/bench/recall_overlap.py); up to some
7 000 Qdrant has no graph anyway."""


class Recall:
    """One query to a collection. While some of its sparse vectors are of an older shape the best found is
    relevant, whatever its match."""

    def __init__(self, query: Query, calibration: Calibration, idf: IdfCache, collection: Collection) -> None:
        self.ranking: Ranking | None = None
        self._scorer = Scorer(query, calibration, hybrid=collection.hybrid)
        self._calibration = calibration
        self._cache = idf
        self._exact = collection.points < EXACT_BELOW
        self._points = collection.points
        self._shared = collection.shared
        self._floor = collection.up_to_date or not collection.hybrid
        terms = self._scorer.question.weights if self._scorer.question else ()
        self._idf = idf.known(query.scope, terms)
        self._uncounted = [term for term in terms if term not in self._idf]
        self._page = self._scorer.page() * (UNCOUNTED_WIDER if self._uncounted else 1)
        self._members_asked = self._memories() is None
        self._excluded: list[ScoredPoint] = []

    def queries(self) -> list[ScopedQuery]:
        """A page of candidates; the first time also those that an explanation wants beside them, and what
        tells how rare the question's terms are."""
        asked = [self._candidates(self._page)]
        if self.ranking is None:
            if self._scorer.query.explain:
                asked.append(self._candidates(self._scorer.query.explain, excluded=True))
            if self._members_asked:
                asked.append(queries.members(self._scorer.query.scope))
            how = queries.holders if self._shared else queries.strongest_of
            asked += [how(self._scorer.query.scope, term) for term in self._uncounted]
        return asked

    def take(self, answers: Sequence[list[ScoredPoint]]) -> None:
        """The answers to `queries`. Afterwards `ranking` is there; a further page is to be asked for unless
        it is exhausted."""
        page, *others = answers
        if self.ranking is None:
            if self._scorer.query.explain:
                self._excluded, *others = others
            self._learn(others)
        if self._scorer.question is not None:
            self._scorer.self_score = self._scorer.question.self_score(self._idf.__getitem__)
        more = len(page) == self._page < PAGE_MOST
        found = self._anchors([*page, *self._excluded])
        self.ranking = self._scorer.rank(
            [row for row, _ in found],
            np.array([point.score for _, point in found]),
            self._sparse_scores([point for _, point in found]),
            lambda place: found[place][1].dense(),
            memories=self._memories() or 0,
            more=more,
            floor=self._floor,
        )
        self._page = min(self._page * scoring.WIDER, PAGE_MOST)

    def _memories(self) -> int | None:
        """About how many anchors the owner has; None while nobody counted."""
        return self._cache.memories(self._scorer.query.scope) if self._shared else self._points

    def _learn(self, answers: Sequence[list[ScoredPoint]]) -> None:
        scope = self._scorer.query.scope
        members: list[ScoredPoint] | None = None
        if self._members_asked:
            members, *answers = answers
        counted = dict(zip(self._uncounted, answers, strict=True))
        if self._shared:
            self._idf |= self._cache.count(scope, members, counted)
        else:
            self._idf |= self._cache.learn(scope, counted)

    def _candidates(self, page: int, *, excluded: bool = False) -> ScopedQuery:
        question, usual = self._scorer.question, self._cache.usual()
        most = question.self_score(lambda term: self._idf.get(term, usual)) if question else 0.0
        return queries.candidates(
            self._scorer.query,
            question,
            self._calibration,
            self_score=most,
            page=page,
            points=self._memories() or self._points,
            exact=self._exact,
            excluded=excluded,
        )

    def _anchors(self, points: Sequence[ScoredPoint]) -> list[tuple[Row, ScoredPoint]]:
        """The anchors among the points; what other programs put there is none."""
        rows = ((to_row(point.id, point.payload), point) for point in points)
        return list({row.anchor_id: (row, point) for row, point in rows if row is not None}.values())

    def _sparse_scores(self, points: Sequence[ScoredPoint]) -> NDArray[np.float64]:
        rarities = {sparse.number(term): rarity for term, rarity in self._idf.items()}
        return np.array([sparse.score(point.words(), rarities) for point in points], dtype=np.float64)
