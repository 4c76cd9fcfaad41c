"""A recall from a server: one query for candidates, scored exactly here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from qdrant_client import models

from vhm.anchors import scoring
from vhm.anchors.payload import Row, to_row
from vhm.anchors.qdrant import queries, sparse
from vhm.anchors.qdrant.idf import IdfCache
from vhm.anchors.qdrant.queries import ScopedQuery
from vhm.anchors.scoring import Scorer
from vhm.anchors.types import Calibration, Query, Ranking

PAGE_MOST = 512
"""Candidates in one page at most: with their vectors that is some 4 MB."""


class Recall:
    """One query. `exact`: the server compares every vector instead of walking its graph; `memories` is about
    how many the owner has; without `floor` the best found is relevant, whatever its match."""

    def __init__(
        self,
        query: Query,
        calibration: Calibration,
        idf: IdfCache,
        *,
        hybrid: bool,
        exact: bool,
        memories: int,
        floor: bool,
    ) -> None:
        self.ranking: Ranking | None = None
        self._scorer = Scorer(query, calibration, hybrid=hybrid)
        self._calibration = calibration
        self._cache = idf
        self._exact = exact
        self._memories = memories
        self._floor = floor
        self._page = self._scorer.page()
        terms = self._scorer.question.weights if self._scorer.question else ()
        self._idf = idf.known(query.scope, terms)
        self._uncounted = [term for term in terms if term not in self._idf]
        self._excluded: list[models.ScoredPoint] = []

    def queries(self) -> list[ScopedQuery]:
        """A page of candidates; the first time also those that an explanation wants beside them, and what
        tells how rare the question's terms are."""
        asked = [self._candidates(self._page)]
        if self.ranking is None:
            if self._scorer.query.explain:
                asked.append(self._candidates(self._scorer.query.explain, excluded=True))
            asked += [queries.strongest_of(self._scorer.query.scope, term) for term in self._uncounted]
        return asked

    def take(self, answers: Sequence[list[models.ScoredPoint]]) -> None:
        """The answers to `queries`. Afterwards `ranking` is there; a further page is to be asked for unless
        it is exhausted."""
        page, *others = answers
        if self.ranking is None:
            if self._scorer.query.explain:
                self._excluded, *others = others
            counted = dict(zip(self._uncounted, others, strict=True))
            self._idf |= self._cache.learn(self._scorer.query.scope, counted)
        if self._scorer.question is not None:
            self._scorer.self_score = self._scorer.question.self_score(self._idf.__getitem__)
        more = len(page) == self._page < PAGE_MOST
        found = self._rows([*page, *self._excluded])
        self.ranking = self._scorer.rank(
            [row for row, _ in found],
            np.array([score for _, score in found]),
            memories=self._memories,
            more=more,
            floor=self._floor,
        )
        self._page = min(self._page * scoring.WIDER, PAGE_MOST)

    def _candidates(self, page: int, *, excluded: bool = False) -> ScopedQuery:
        question, usual = self._scorer.question, self._cache.usual()
        most = question.self_score(lambda term: self._idf.get(term, usual)) if question else 0.0
        return queries.candidates(
            self._scorer.query,
            question,
            self._calibration,
            self_score=most,
            page=page,
            exact=self._exact,
            excluded=excluded,
        )

    def _rows(self, points: Sequence[models.ScoredPoint]) -> list[tuple[Row, float]]:
        """The anchors among the points, with their sparse scores; what other programs put there is none."""
        found: dict[object, tuple[Row, float]] = {}
        rarities = {sparse.number(term): rarity for term, rarity in self._idf.items()}
        for point in points:
            row = to_row(point.id, point.payload, point.vector)
            if row is None or row.vector is None:
                continue
            weights = sparse.from_vector(point.vector)
            score = sum(weights[term] * rarity for term, rarity in rarities.items() if term in weights)
            found[row.anchor_id] = row, score
        return list(found.values())
