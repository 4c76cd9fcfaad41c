"""A recall by meaning and words from a server, in two requests as a rule.

1. The strongest by formula among the nearest and those that share words, with their embeddings.
2. What was said just before and after those that may win by it, or let it win, and how near that is.

Where what was said beside one comes out among the strongest, a third asks for its embedding, which tells
what resembles what. How rare the words of the question are is asked before, unless it is known (see
`Rarities`). What is neither near nor shares words, nor was said beside one that is, is not looked at, and
what lies beyond the first page is taken to be no stronger than its end: recall by meaning alone is proven to
find what a search through everything would, this is measured.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta

import msgspec
import numpy as np
from qdrant_client import models

from vhm.anchors.payload import Content, dense
from vhm.anchors.qdrant import hybrid_search
from vhm.anchors.qdrant import queries as search
from vhm.anchors.qdrant.experience import Count, Experience
from vhm.anchors.qdrant.found import Found
from vhm.anchors.qdrant.idf import Rarities
from vhm.anchors.qdrant.recall import PAGE_MOST, WIDER
from vhm.anchors.qdrant.requests import Request
from vhm.anchors.qdrant.standing import Beyond, Standing, similarities
from vhm.anchors.qdrant.surroundings import Instant, Surroundings, Turn
from vhm.anchors.qdrant.together import Ask
from vhm.anchors.qdrant.wire import Point
from vhm.anchors.scoring import Candidate, Floats, Ranking
from vhm.anchors.types import Calibration, Query, Vector
from vhm.memory import similarity

PAGE_SPARE = 32
"""Candidates looked at beyond the beats asked for."""

LOOKED_AROUND = 3
"""Candidates whose neighbours are asked for in one request, beside as many as beats are asked for."""

BESIDE_EACH = 16
"""Turns around each of them, on average and at most."""

ROUNDS = 10

IGNORED = 64
"""Anchors to ignore that may lend to their neighbours."""


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """What all recalls from one collection go by. `ask` queries it, `count` says how many points, more or
    less, meet conditions; `exact`: the server compares every vector instead of walking its graph."""

    ask: Ask
    count: Count
    calibration: Calibration
    rarities: Rarities
    experience: Experience
    exact: bool


class HybridRecall:
    """One query on its way to a settled ranking."""

    def __init__(self, query: Query, means: Means) -> None:
        self._query = query
        self._means = means
        self._question = similarity.question(query.text, query.now)
        self._may = search.eligible(query)
        self._surroundings = Surroundings()
        self._beyond = Beyond()

    async def run(self, page: int = 0) -> Ranking:
        """The answer, and `page` of the candidates where there are so many."""
        wanted = max(self._query.limit, page)
        page = wanted + PAGE_SPARE
        found = await self._nothing_yet()
        while True:
            await self._first_page(found, page)
            ranking = await self._settled(found, wanted)
            if ranking.settled > -np.inf or not self._beyond.any or page >= PAGE_MOST:
                return ranking
            page *= WIDER

    async def excluded(self, count: int) -> tuple[list[Candidate], Floats]:
        """The strongest of those that this recall is not to look at, and their similarities."""
        found = await self._nothing_yet()
        others = models.Filter(must_not=[self._may])
        (points,) = await self._means.ask([self._strongest(found, others, [], count)])
        self._take(found, points)
        rows = list(range(len(found)))
        for _ in range(ROUNDS):
            if not (unknown := [row for row in rows if self._surroundings.open(found.instants[row])]):
                break
            await self._learn(found, unknown, [])
        return found.candidates(rows), similarities(found, self._surroundings)[rows]

    async def _nothing_yet(self) -> Found:
        means = self._means
        rarity = await means.rarities.of(self._question.terms.counts, means.ask, means.count)
        return Found(self._query, self._question, means.calibration, rarity)

    async def _first_page(self, found: Found, page: int) -> None:
        means = self._means
        favoured = await means.experience.favoured(self._query, means.count)
        requests = [self._strongest(found, self._may, favoured, page)]
        if self._query.ignore:
            requests.append(hybrid_search.these(list(self._query.ignore)[:IGNORED], payload=True))
        points, *ignored = await means.ask(requests)
        self._take(found, points)
        full = len(points) == page
        # an anchor beyond the page is taken to be no stronger than its end
        self._beyond = Beyond(full, float(found.own.min(initial=1.0)) if full else 0.0)
        for others in ignored:
            self._take(found, others)

    def _strongest(
        self, found: Found, may: models.Filter, favoured: Sequence[models.Filter], page: int
    ) -> Request:
        return hybrid_search.strongest(
            self._query,
            self._means.calibration,
            may,
            favoured,
            terms=self._question.terms.counts,
            most=found.words.most,
            usual_cosine=self._means.experience.usual_cosine,
            page=page,
            exact=self._means.exact,
        )

    def _take(self, found: Found, points: Sequence[Point], *, cosines: bool = False) -> list[Turn]:
        """Note the anchors among the points, which bring their embeddings, or their cosines as scores; the
        turns that they are."""
        new: dict[uuid.UUID, Content] = {}
        scores: list[float] = []
        vectors: dict[uuid.UUID, Vector] = {}
        anchors = [(*anchor, point) for point in points if (anchor := point.anchor()) is not None]
        for anchor_id, content, point in anchors:
            if anchor_id in found.rows or anchor_id in new:
                continue
            vector = dense(point.vector)
            if vector is not None:
                vectors[anchor_id] = vector
            elif not cosines:
                continue
            new[anchor_id] = content
            scores.append(point.score if vector is None else float(np.vecdot(vector, self._query.vector)))
        if new:
            found.add(new, np.array(scores))
            found.vectors |= {found.rows[anchor_id]: vector for anchor_id, vector in vectors.items()}
        if cosines:
            self._means.experience.met(scores)
        return [
            Turn(*instant, anchor_id)
            for anchor_id, _, _ in anchors
            if (row := found.rows.get(anchor_id)) is not None and (instant := found.instants[row]) is not None
        ]

    async def _settled(self, found: Found, wanted: int) -> Ranking:
        """Ask until nothing can change the beats any more."""
        for _ in range(ROUNDS):
            standing = self._standing(found, wanted)
            bare, doubtful = standing.bare, standing.doubtful()[: LOOKED_AROUND + wanted]
            if not (bare or doubtful):
                return standing.ranking
            await self._learn(found, doubtful, bare)
        return self._standing(found, wanted).ranking

    def _standing(self, found: Found, wanted: int) -> Standing:
        return Standing(found, self._surroundings, self._beyond, self._query, wanted)

    async def _learn(self, found: Found, around: Sequence[int], bare: Sequence[int]) -> None:
        """The neighbours of some, the embeddings of some."""
        known = self._surroundings
        instants = list(dict.fromkeys(at for row in around if (at := found.instants[row]) is not None))
        fresh = [at for at in instants if not known.looked_around(at)]
        limits = {at: known.limits(at) for at in instants if at not in fresh}
        requests = [request for at, most in limits.items() for request in hybrid_search.beside(at, *most)]
        if bare:
            requests.append(hybrid_search.these([found.ids[row] for row in bare], payload=False))
        window, most = self._means.experience.window, BESIDE_EACH * len(fresh)
        if fresh:
            requests.append(hybrid_search.around(self._query, fresh, window, most))
        answers = iter(await self._means.ask(requests))
        for at, (back, forth) in limits.items():
            earlier, later = next(answers), next(answers)
            turns = self._take(found, [*earlier, *later])
            known.learn(at, turns, begins=len(earlier) < back, ends=len(later) < forth)
        if bare:
            self._embed(found, bare, next(answers))
        if fresh:
            points = next(answers)
            turns = self._take(found, points, cosines=True)
            known.look_around(fresh, window, turns, whole=len(points) < most)
        self._means.experience.apart([self._gap(found, at) for at in instants if not known.open(at)])

    def _gap(self, found: Found, at: Instant) -> timedelta | None:
        """How far the further of its neighbours is."""
        moments = [found.contents[found.rows[one]].stored_at for one in self._surroundings.around(at)]
        return max((abs(moment - at[1]) for moment in moments), default=None)

    def _embed(self, found: Found, rows: Sequence[int], points: Sequence[Point]) -> None:
        vectors = {point.id: dense(point.vector) for point in points}
        for row in rows:
            vector = vectors.get(found.ids[row])
            if vector is None:  # it was deleted meanwhile
                found.forget(row)
            else:
                found.vectors[row] = vector
