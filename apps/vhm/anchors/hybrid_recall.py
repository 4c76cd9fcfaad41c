"""A recall by meaning and words from a server.

1. How rare each word of the question is, as the server's IDF sees it.
2. The strongest by formula among the nearest and those that share words: a first order, in which nearness
   or words count nothing for an anchor that only the other prefetch returned.
3. What was said just before and after those that may still win, until no other can.

Everything is then scored exactly. What is neither near nor shares words, nor is near for an important
memory, nor was said beside one that is, is not looked at: recall by meaning alone is proven to find what a
search through everything would, this is measured.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import numpy as np
from qdrant_client import models

from vhm.anchors import search, sparse
from vhm.anchors.payload import from_payload
from vhm.anchors.ranking import Candidate, Floats, Ranking, rank, strength
from vhm.anchors.recall import PAGE_MOST, WIDER, candidates
from vhm.anchors.types import YOUNGEST_SECONDS, Calibration, Query
from vhm.memory import bm25, hybrid

PREFETCH = 512
"""So many of the nearest, and so many that share words."""

IMPORTANT = 1.2
IMPORTANT_PREFETCH = 256
"""So many of the nearest of greater salience than that."""

PAGE_SPARE = 40
LOOKED_UP = 8
"""Candidates whose neighbours are asked for in one request."""

ROUNDS = 12

Ask = Callable[[list[models.QueryRequest]], Awaitable[list[list[models.ScoredPoint]]]]


class HybridRecall:
    """One query on its way to a settled ranking."""

    def __init__(
        self, query: Query, calibration: Calibration, ask: Ask, anchors: int, *, exact: bool
    ) -> None:
        """`ask` queries the collection; `anchors` is how many it holds."""
        self._query = query
        self._calibration = calibration
        self._ask = ask
        self._anchors = anchors
        self._exact = exact
        self._question = hybrid.question(query.text, query.now)
        self._may = search.eligible(query)
        self._rarity: dict[str, float] = {}
        self._found: dict[uuid.UUID, Candidate] = {}
        self._own: dict[uuid.UUID, float] = {}
        self._around: dict[uuid.UUID, float] = {}

    async def run(self, page: int = 0) -> Ranking:
        """The answer."""
        await self._ask_rarity()
        page = max(self._query.limit + PAGE_SPARE, page)
        while True:
            (points,) = await self._ask([self._formula(self._may, page)])
            self._take(candidates(points))
            ranking = await self._look_around_until_settled()
            if ranking.settled > -np.inf or len(points) < page or page >= PAGE_MOST:
                return ranking
            page *= WIDER

    async def excluded(self, count: int) -> tuple[list[Candidate], Floats]:
        """The strongest of those that this recall is not to look at, and their similarities."""
        others = models.Filter(must_not=[self._may])
        (points,) = await self._ask([self._formula(others, count)])
        found = candidates(points)
        self._take(found)
        await self._look_around([one.anchor_id for one in found])
        return found, np.array([self._similarity(one.anchor_id) for one in found])

    async def _ask_rarity(self) -> None:
        """A word alone scores rarity times weight, and the weight is known from the text."""
        terms = list(self._question.terms.counts)
        if not terms:
            return
        answers = await self._ask(
            [
                models.QueryRequest(
                    query=sparse.of_terms([term]), using=sparse.WORDS, limit=1, with_payload=True
                )
                for term in terms
            ]
        )
        for term, points in zip(terms, answers, strict=True):
            content = from_payload(points[0].payload) if points else None
            weight = sparse.weights(content).get(term, 0.0) if content is not None else 0.0
            self._rarity[term] = points[0].score / weight if weight else bm25.idf(self._anchors, 0)

    @property
    def _most(self) -> float:
        """BM25 of the question with itself."""
        weights = self._question.terms.weights()
        return sum(weight * self._rarity[term] for term, weight in weights.items())

    def _formula(self, may: models.Filter, page: int) -> models.QueryRequest:
        """Scores 0 and 1 are cosines, of the nearest and of the nearest important ones; 2 is BM25."""
        vector, params = self._query.vector.tolist(), models.SearchParams(exact=self._exact)
        salient = models.FieldCondition(key="salience", range=models.Range(gt=IMPORTANT))
        important = models.Filter(must=[may, salient])
        prefetch = [
            models.Prefetch(query=vector, filter=may, limit=PREFETCH, params=params),
            models.Prefetch(query=vector, filter=important, limit=IMPORTANT_PREFETCH, params=params),
        ]
        share = 0.0
        if self._most > 0:
            terms = sparse.of_terms(self._rarity)
            prefetch.append(models.Prefetch(query=terms, using=sparse.WORDS, filter=may, limit=PREFETCH))
            share = (1 - hybrid.BLEND.meaning) / self._most
        similarity = search.blend(self._calibration, hybrid.BLEND.meaning, share)
        return models.QueryRequest(
            prefetch=prefetch,
            query=search.activation_formula(self._query, similarity),
            limit=page,
            with_payload=True,
            with_vector=True,
        )

    def _take(self, found: Sequence[Candidate]) -> None:
        new = [one for one in found if one.anchor_id not in self._own]
        if not new:
            return
        contents = [one.content for one in new]
        terms, rarity = self._question.terms, self._rarity
        owns = self._blended(
            np.array([np.vecdot(one.vector, self._query.vector) for one in new]),
            np.array([bm25.relevance(terms, sparse.weights(one), rarity.__getitem__) for one in contents]),
            hybrid.told(self._question, [(one.text, one.stored_at) for one in contents]),
        )
        for one, own in zip(new, owns, strict=True):
            self._found[one.anchor_id], self._own[one.anchor_id] = one, float(own)

    def _blended(self, cosines: Floats, wording: Floats, beside: hybrid.Told) -> Floats:
        return hybrid.blended(self._question, self._calibration.similarity(cosines), wording, beside)

    async def _look_around_until_settled(self) -> Ranking:
        for _ in range(ROUNDS):
            ranking, doubtful = self._ranked()
            if not doubtful:
                return ranking
            await self._look_around(doubtful[:LOOKED_UP])
        return self._ranked()[0]

    def _ranked(self) -> tuple[Ranking, list[uuid.UUID]]:
        """The order as far as it is known, and who may still rise in it, most likely first."""
        may = [one for one in self._found.values() if self._may_answer(one)]
        similarities = np.array([self._similarity(one.anchor_id) for one in may])
        ranking = rank(may, self._query, similarities)
        loudest = max(self._own.values(), default=0.0)
        doubtful: list[tuple[float, uuid.UUID]] = []
        for one in may:
            own = self._own[one.anchor_id]
            most = strength(one.content, self._raised(own, loudest), self._query)
            if one.anchor_id not in self._around and loudest > own and most >= ranking.settled:
                doubtful.append((most, one.anchor_id))
        return ranking, [anchor_id for _, anchor_id in sorted(doubtful, reverse=True)]

    def _may_answer(self, one: Candidate) -> bool:
        """As the filter has it, for those that came as somebody's neighbours."""
        query = self._query
        mine = query.session_id is not None and one.content.meta.get("session") == query.session_id
        return self._is_memory(one) and not mine and one.anchor_id not in query.ignore

    def _is_memory(self, one: Candidate) -> bool:
        return one.content.stored_at <= self._query.now - timedelta(seconds=YOUNGEST_SECONDS)

    def _similarity(self, anchor_id: uuid.UUID) -> float:
        return self._raised(self._own[anchor_id], self._around.get(anchor_id, 0.0))

    def _raised(self, own: float, neighbour: float) -> float:
        return float(hybrid.lifted(np.array([own]), np.array([neighbour]))[0])

    async def _look_around(self, anchor_ids: Sequence[uuid.UUID]) -> None:
        """Find what was said just before and just after each of these in its session."""
        asked = [(one, side) for one in anchor_ids for side in search.beside(self._found[one].content)]
        answers = await self._ask([request for _, request in asked]) if asked else []
        for anchor_id in anchor_ids:
            self._around[anchor_id] = 0.0
        for (anchor_id, _), points in zip(asked, answers, strict=True):
            beside = candidates(points)
            self._take(beside)
            # what is no memory yet at `now` lends nothing either
            if beside and self._is_memory(beside[0]):
                instant = beside[0].content.stored_at
                own = max(self._own[one.anchor_id] for one in beside if one.content.stored_at == instant)
                self._around[anchor_id] = max(self._around[anchor_id], own)
