"""A recall by meaning and words from a server, in three requests as a rule.

1. The strongest by formula among the nearest and those that share words, of young and old, important and
   other anchors each: a first order, in which nearness or words count nothing for an anchor that only the
   other search returned.
2. The exact cosines of these, and what was said just before and after those that may win by it, or let it
   win.
3. The cosines of what came to light, and the embeddings of the winners, which tell what resembles what.

How rare the words of the question are is asked before, unless it is known (see `Rarities`). What is neither
near nor shares words for an anchor of its kind, nor was said beside one that is, is not looked at, and what
lies beyond the first page is taken to be no stronger than its end: recall by meaning alone is proven to find
what a search through everything would, this is measured.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import numpy as np
from qdrant_client import models

from vhm.anchors import search, sparse
from vhm.anchors.found import Found
from vhm.anchors.payload import Content, dense, point_id
from vhm.anchors.ranking import Candidate, Floats, Ranking, rank
from vhm.anchors.rarity import Count, Rarities
from vhm.anchors.recall import PAGE_MOST, WIDER
from vhm.anchors.surroundings import Surroundings, Turn
from vhm.anchors.together import Ask
from vhm.anchors.types import Calibration, Query
from vhm.anchors.wire import Point
from vhm.memory import hybrid

NEAREST = 128
NEAREST_BY_GRAPH = 64
"""So many of the nearest of each band; a server that walks its graph takes the longer the more there are
to be."""

WORDY = 64
"""So many of each band that share words."""

PAGE_SPARE = 40
"""Candidates looked at beyond the beats asked for."""

VECTORS_SPARE = 4
"""Embeddings asked for beyond the beats asked for, at a time."""

LOOKED_AROUND = 6
"""Candidates whose neighbours are asked for in one request, beside as many as beats are asked for."""

ROUNDS = 10

IGNORED = 64
"""Anchors to ignore that may lend to their neighbours."""


class HybridRecall:
    """One query on its way to a settled ranking."""

    def __init__(
        self,
        query: Query,
        calibration: Calibration,
        ask: Ask,
        count: Count,
        rarities: Rarities,
        *,
        exact: bool,
    ) -> None:
        """`ask` queries the collection, `count` says how many points it holds."""
        self._query = query
        self._calibration = calibration
        self._ask = ask
        self._count = count
        self._rarities = rarities
        self._exact = exact
        self._question = hybrid.question(query.text, query.now)
        self._may = search.eligible(query)
        self._surroundings = Surroundings()
        self._whole = False
        """Whether the page holds every anchor that may answer."""
        self._elsewhere = 0.0
        """What an anchor beyond the page has of its own, at most."""

    async def run(self, page: int = 0) -> Ranking:
        """The answer, and `page` of the candidates where there are so many."""
        rarity = await self._rarity()
        wanted = max(self._query.limit, page)
        page = wanted + PAGE_SPARE
        while True:
            found = Found(self._query, self._question, self._calibration, rarity)
            await self._first_page(found, page)
            ranking = await self._settled(found, wanted)
            if ranking.settled > -np.inf or self._whole or page >= PAGE_MOST:
                return ranking
            page *= WIDER

    async def excluded(self, count: int) -> tuple[list[Candidate], Floats]:
        """The strongest of those that this recall is not to look at, and their similarities."""
        found = Found(self._query, self._question, self._calibration, await self._rarity())
        others = models.Filter(must_not=[self._may])
        (points,) = await self._ask([self._formula(found, others, count)])
        self._take(found, points, scored=True)
        rows = list(range(len(found)))
        await self._learn(found, around=rows, unsure=[], bare=rows)
        await self._learn(found, around=[], unsure=found.unsure(), bare=[])
        present = [row for row in rows if row in found.vectors]
        return self._candidates(found, present), self._similarities(found)[present]

    async def _rarity(self) -> dict[str, float]:
        return await self._rarities.of(self._question.terms.counts, self._ask, self._count)

    async def _first_page(self, found: Found, page: int) -> None:
        requests = [self._formula(found, self._may, page)]
        if self._query.ignore:
            requests.append(search.these(list(self._query.ignore)[:IGNORED], IGNORED, payload=True))
        points, *ignored = await self._ask(requests)
        self._take(found, points, scored=True)
        self._whole = len(points) < page
        self._elsewhere = 0.0 if self._whole else float(found.own().min(initial=1.0))
        for others in ignored:
            self._take(found, others)

    def _formula(self, found: Found, may: models.Filter, page: int) -> models.QueryRequest:
        """The first scores are cosines, one for each band; those after them BM25."""
        vector, params = self._query.vector.tolist(), models.SearchParams(exact=self._exact)
        by_age, by_both = search.bands(self._query, may)
        depth = max(NEAREST if self._exact else NEAREST_BY_GRAPH, page)
        prefetch = [
            models.Prefetch(query=vector, filter=band, limit=depth, params=params) for band in by_both
        ]
        share = 0.0
        if found.most > 0:
            terms = sparse.of_terms(self._question.terms.counts)
            wordy = max(WORDY, page)
            prefetch += [
                models.Prefetch(query=terms, using=sparse.WORDS, filter=band, limit=wordy) for band in by_age
            ]
            share = (1 - hybrid.BLEND.meaning) / found.most
        similarity = search.blend(self._calibration, hybrid.BLEND.meaning, len(by_both), share, len(by_age))
        return models.QueryRequest(
            prefetch=prefetch,
            query=search.activation_formula(self._query, similarity),
            limit=page,
            with_payload=search.PAYLOAD,
        )

    def _take(self, found: Found, points: Sequence[Point], *, scored: bool = False) -> None:
        new: dict[uuid.UUID, tuple[Content, float]] = {}
        for point in points:
            anchor_id = point_id(point.id)
            if anchor_id is None or anchor_id in found.rows or anchor_id in new:
                continue
            content = point.content()
            if content is not None:
                new[anchor_id] = content, point.score
        scores = np.array([score for _, score in new.values()]) if scored else None
        if new:
            found.add([(anchor_id, content) for anchor_id, (content, _) in new.items()], scores)

    async def _settled(self, found: Found, wanted: int) -> Ranking:
        """Ask until nothing can change the beats any more."""
        for number in range(ROUNDS):
            similarities = self._similarities(found)
            strengths = np.where(found.may, similarities * found.factors, -np.inf)
            ranking = self._ranked(found, similarities)
            order = np.argsort(-strengths, kind="stable")[: np.count_nonzero(found.may)].tolist()
            bare = self._bare(found, order, strengths, ranking, wanted)
            bar = ranking.settled
            if bar == -np.inf and bare and len(order) > wanted:
                bar = float(strengths[order[wanted - 1]])
            around = self._doubtful(found, bar, order[:wanted])[: LOOKED_AROUND + wanted]
            unsure = self._telling(found, bar) if number else found.unsure()
            if not (unsure or around or bare):
                break
            await self._learn(found, around=around, unsure=unsure, bare=bare)
        return self._ranked(found, self._similarities(found))

    def _telling(self, found: Found, bar: float) -> list[int]:
        """Those whose cosine is not known and would tell: they, or a neighbour by them, may be a beat."""
        unsure = found.unsure()
        if not unsure:
            return []
        most = found.own(at_most=1.0 if self._whole else float(found.meaning.max()))
        own = found.own()
        risen = hybrid.lifted(most, np.maximum(found.loudest_near(most), self._elsewhere)) * found.factors
        risen = np.where(found.may, risen, -np.inf)
        raised = np.where((risen >= bar) & ~(own >= found.loudest_near(most)), -own, -np.inf)
        lowest = -found.loudest_near(raised, nothing=-np.inf)
        return [row for row in unsure if risen[row] >= bar or most[row] > lowest[row]]

    def _similarities(self, found: Found) -> Floats:
        """As far as the neighbours are known."""
        own = found.own()
        lent = np.where(found.memory, own, 0.0)  # what is no memory yet lends nothing either
        around = np.zeros(len(own))
        for row in range(len(own)):
            instant = found.instant(row)
            if instant is not None:
                rows = [found.rows[one] for one in self._surroundings.around(instant)]
                around[row] = lent[rows].max(initial=0.0)
        return hybrid.lifted(own, around)

    def _ranked(self, found: Found, similarities: Floats) -> Ranking:
        """The order of those whose embedding is known."""
        rows = [row for row in found.vectors if found.may[row]]
        return rank(self._candidates(found, rows), self._query, similarities[rows])

    def _candidates(self, found: Found, rows: Sequence[int]) -> list[Candidate]:
        return [
            Candidate(anchor_id=found.ids[row], content=found.contents[row], vector=found.vectors[row])
            for row in rows
        ]

    def _bare(
        self, found: Found, order: Sequence[int], strengths: Floats, ranking: Ranking, wanted: int
    ) -> list[int]:
        """Whose embedding must be known next; none once the beats are."""
        bare = [row for row in order if row not in found.vectors]
        needed = len(bare)
        if ranking.settled > -np.inf:
            last = strengths[order[min(wanted, len(order)) - 1]]
            needed = int(np.count_nonzero(strengths[bare] >= min(last, ranking.settled)))
        return bare[: min(needed, wanted) + VECTORS_SPARE] if needed else []

    def _doubtful(self, found: Found, bar: float, first: Sequence[int]) -> list[int]:
        """Whose neighbours may make a beat of it, or may become one by it, most likely first; and the
        `first`, so that their similarity is exact."""
        own = found.own()
        instants = [found.instant(row) for row in range(len(found))]
        open_ = np.array(
            [at is not None and self._surroundings.limits(at) is not None for at in instants],
            dtype=bool,
        )
        if not open_.any():
            return []
        loudest = np.maximum(found.loudest_near(own), self._elsewhere)
        risen = hybrid.lifted(own, loudest) * found.factors
        doubtful = open_ & found.may & (loudest > own) & (risen >= bar)
        doubtful[first] |= open_[first]
        if not self._whole:
            beside = hybrid.lifted(np.minimum(own, self._elsewhere), own)
            lifting = beside * np.maximum(found.factors, found.decays)
            doubtful |= open_ & found.memory & (own > self._elsewhere) & (lifting >= bar)
            risen = np.maximum(risen, lifting)
        return sorted(np.flatnonzero(doubtful), key=lambda row: -risen[row])

    async def _learn(
        self, found: Found, *, around: Sequence[int], unsure: Sequence[int], bare: Sequence[int]
    ) -> None:
        """The neighbours of some, the cosines of some, the embeddings of some."""
        instants = list(dict.fromkeys(at for row in around if (at := found.instant(row)) is not None))
        limits = {at: most for at in instants if (most := self._surroundings.limits(at))}
        requests = [request for at, most in limits.items() for request in search.beside(at, *most)]
        embedded, alone = set(bare), [row for row in unsure if row not in set(bare)]
        if alone:
            requests.append(search.cosines(self._query, [found.ids[row] for row in alone]))
        if embedded:
            requests.append(search.these([found.ids[row] for row in bare], len(bare), vectors=True))
        answers = iter(await self._ask(requests) if requests else [])
        for at in limits:
            earlier, later = next(answers), next(answers)
            self._take(found, [*earlier, *later])
            self._surroundings.learn(at, _turns(found, earlier), _turns(found, later))
        if alone:
            scores = {point_id(point.id): point.score for point in next(answers)}
            # one that was deleted meanwhile stays with what it was taken to be
            told = [row for row in alone if found.ids[row] in scores]
            found.learn(told, np.array([scores[found.ids[row]] for row in told]))
            found.sure[alone] = True
        if embedded:
            for point in next(answers):
                row, vector = found.row(point.id), dense(point.vector)
                if row is not None and vector is not None:
                    found.embed(row, vector)
                    embedded.discard(row)
            found.forget(embedded)


def _turns(found: Found, points: Sequence[Point]) -> list[Turn]:
    """Those of the points that are anchors."""
    rows = (found.row(point.id) for point in points)
    return [Turn(found.contents[row].stored_at, found.ids[row]) for row in rows if row is not None]
