"""How candidates are scored and chosen, once for both stores: eligibility, match, activation, diversity, and
the reasons of an explanation. All of it is pure.

The embedded store scores all that an owner has, a server's the candidates that its formula found; both rank
the strongest of these exactly, by the same code.
"""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Sequence, Set
from datetime import datetime, timedelta
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from vhm.anchors.payload import Row
from vhm.anchors.types import Calibration, Explained, Query, Ranking, Recalled
from vhm.contract.explain import NOTHING_RELEVANT, SAME_SESSION, WEAKER
from vhm.contract.messages import Where
from vhm.memory import activation, diversity
from vhm.memory import match as matching
from vhm.memory.question import Question, question

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Columns(Protocol):
    """What eligibility asks of n anchors; row i of every column is the same anchor."""

    @property
    def moments(self) -> Floats:
        """When each was said, in seconds since 1970."""
        ...

    @property
    def superseded(self) -> Floats:
        """From when on another takes each one's place, in seconds since 1970; inf where none does."""
        ...

    @property
    def expiring(self) -> Floats:
        """When each expires, in seconds since 1970; inf where it does not."""
        ...

    def of_session(self, session_id: str) -> Flags:
        """Which were said in that session."""
        ...

    def among(self, anchor_ids: Set[uuid.UUID]) -> Flags:
        """Which have one of these ids."""
        ...

    def matching(self, where: Where) -> Flags:
        """Which hold these values in their meta."""
        ...


class Exclusion(msgspec.Struct, frozen=True):
    """A rule that keeps anchors out of a recall: the reason it gives and the anchors it concerns."""

    reason: str
    excluded: Flags


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """Columns of scored anchors."""

    matches: Floats
    meanings: Floats
    words: Floats
    """What the cosine and the words add to each match."""
    similarities: Floats
    activations: Floats
    in_period: Flags


def exclusions(query: Query, columns: Columns) -> list[Exclusion]:
    """Every rule of eligibility; of several that concern an anchor the first gives the reason. Qdrant is
    told the same rules by `qdrant.queries`."""
    now, moments = query.now.timestamp(), columns.moments
    oldest = (query.now - timedelta(seconds=query.min_age_seconds)).timestamp()
    rules = [Exclusion("to be ignored", columns.among(query.ignore))]
    if query.session_id is not None:
        rules.append(Exclusion(SAME_SESSION, columns.of_session(query.session_id)))
    rules.append(Exclusion("expired", columns.expiring <= max(now, time.time())))
    rules.append(Exclusion(SUPERSEDED, columns.superseded <= now))
    rules.append(Exclusion("in the future", moments > now))
    rules.append(Exclusion(f"younger than {query.min_age_seconds:g} s", moments > oldest))
    if query.since is not None:
        rules.append(Exclusion("said before `since`", moments < query.since.timestamp()))
    if query.until is not None:
        rules.append(Exclusion("not said before `until`", moments >= query.until.timestamp()))
    if query.where:
        rules.append(Exclusion("not of that `where`", ~columns.matching(query.where)))
    return rules


def instant(moment: datetime | None) -> float:
    """A moment in seconds since 1970; inf for none."""
    return math.inf if moment is None else moment.timestamp()


def eligible(rules: Sequence[Exclusion]) -> Flags:
    """Which anchors no rule keeps out."""
    may: Flags = ~np.logical_or.reduce([rule.excluded for rule in rules])
    return may


class Scorer:
    """What one query is scored by. `question` is None where hybrid recall is off: then the calibrated
    cosine is match and similarity alike. `self_score` is BM25(question, question), which depends on how rare
    the question's words are in the store."""

    def __init__(self, query: Query, calibration: Calibration, *, hybrid: bool) -> None:
        self.query = query
        self.question: Question | None = question(query.text, query.now) if hybrid else None
        self.self_score = 0.0
        self._calibration = calibration

    @property
    def only_time(self) -> bool:
        """Whether the question asks for nothing but what was in a period."""
        return self.question is not None and self.question.only_time

    def scores(self, cosines: Floats, sparse: Floats, moments: Floats, saliences: Floats) -> Scores:
        """The scores of anchors with those cosines and sparse scores to the query."""
        query, meaning = self.query, self._calibration.similarity(cosines)
        in_period = np.zeros(len(cosines), dtype=bool)
        matches = similarities = meanings = meaning
        by_words = np.zeros(len(cosines))
        if self.question is not None:
            words = matching.words_share(sparse, self.self_score)
            if self.question.period is not None:
                in_period = matching.said_in(self.question.period, moments)
            matches = matching.match(meaning, words, in_period)
            meanings, by_words = matching.shares(meaning, words)
            similarities = matching.similarity(matches)
        ages = np.maximum(query.now.timestamp() - moments, 0.0) / activation.SECONDS_PER_DAY
        base = activation.base_level(ages, saliences, query.decay_lambda)
        return Scores(
            matches=matches,
            meanings=meanings,
            words=by_words,
            similarities=similarities,
            activations=activation.activation(similarities, base, query.base_level_weight),
            in_period=in_period,
        )

    def order(self, scores: Scores) -> Floats:
        """What candidates are ordered by: activation; for a question only about a time what was said then
        comes before all else."""
        return scores.activations + np.where(scores.in_period & self.only_time, 1e3, 0.0)

    def page(self) -> int:
        """Candidates that are ranked exactly, at first."""
        return max(PAGE, 2 * self.query.limit, self.query.explain)

    def rank(
        self, rows: Sequence[Row], sparse: Floats, *, memories: int, more: bool, floor: bool = True
    ) -> Ranking:
        """The candidates ranked, and the beats chosen among those that are eligible.

        `sparse` are their sparse scores; `memories` is how many the owner has; `more`: there are further
        candidates, weaker than these. Without `floor` the best found is relevant, whatever its match.
        """
        if not rows:
            return Ranking(beats=[], explained=[], memories=memories, exhausted=True)
        candidates = _Candidates(rows)
        cosines = np.vecdot(candidates.vectors, self.query.vector).astype(np.float64)
        scores = self.scores(cosines, sparse, candidates.moments, candidates.saliences)
        reasons = self._reasons(candidates, scores, cosines, memories, floor=floor)
        strength = self.order(scores)
        ranked = sorted(
            range(len(rows)), key=lambda row: (-strength[row], -cosines[row], rows[row].anchor_id.int)
        )
        chosen = self._choose(candidates, ranked, reasons)
        recalled = [self._recalled(rows[row], scores, row) for row in ranked]
        place = {row: index for index, row in enumerate(ranked)}
        return Ranking(
            beats=[recalled[place[row]] for row in chosen],
            explained=[
                Explained(recalled=one, left_out=reasons.get(row))
                for row, one in zip(ranked[: self.query.explain], recalled, strict=False)
            ],
            memories=memories,
            exhausted=not more or not {WEAKER, NOTHING_RELEVANT}.isdisjoint(reasons.values()),
        )

    def _reasons(
        self, candidates: _Candidates, scores: Scores, cosines: Floats, memories: int, *, floor: bool
    ) -> dict[int, str]:
        """Why candidates are no beats, whatever else is chosen."""
        reasons: dict[int, str] = {}
        rules = exclusions(self.query, candidates)
        for rule in reversed(rules):
            reasons |= dict.fromkeys(np.flatnonzero(rule.excluded).tolist(), rule.reason)
        for row, reason in reasons.items():
            if reason == SUPERSEDED:
                reasons[row] = f"{SUPERSEDED} {candidates.rows[row].content.superseded_by}"
        rows = np.flatnonzero(eligible(rules))
        if self.query.at_least is not None:
            below = rows[scores.matches[rows] < self.query.at_least]
            return reasons | dict.fromkeys(below.tolist(), f"match below {self.query.at_least:g}")
        least = matching.floor(self.query.least_match, memories)
        if least <= 0 or not floor or self.only_time or not len(rows):
            return reasons
        if scores.matches[rows].max() < least:
            return reasons | dict.fromkeys(rows.tolist(), NOTHING_RELEVANT)
        weak = rows[matching.weak(scores.matches[rows], cosines[rows])]
        return reasons | dict.fromkeys(weak.tolist(), "far weaker than the best")

    def _choose(self, candidates: _Candidates, ranked: Sequence[int], reasons: dict[int, str]) -> list[int]:
        """The rows of the beats, strongest first. Adds the reasons of those that repeat, resemble, or come
        after enough others."""
        rows, query = [row for row in ranked if row not in reasons], self.query
        texts = [candidates.rows[row].content.text for row in rows]
        choice = diversity.weigh(candidates.vectors[rows], texts, query.limit, query.diversity_threshold)
        for index, left_out in choice.left_out.items():
            if left_out.why == "weaker" or left_out.of is None:
                reasons[rows[index]] = WEAKER
                continue
            other = candidates.rows[rows[left_out.of]].anchor_id
            reasons[rows[index]] = (
                f"same text as {other}"
                if left_out.why == "repeats"
                else f"cosine {left_out.cosine:.2f} with {other}"
            )
        return [rows[index] for index in choice.chosen]

    def _recalled(self, row: Row, scores: Scores, index: int) -> Recalled:
        content, query = row.content, self.query
        return Recalled(
            anchor_id=row.anchor_id,
            text=content.text,
            stored_at=content.stored_at,
            salience=content.salience,
            meta=content.meta,
            match=float(scores.matches[index]),
            meaning=float(scores.meanings[index]),
            words=float(scores.words[index]),
            similarity=float(scores.similarities[index]),
            decay=activation.decay(activation.age_days(content.stored_at, query.now), query.decay_lambda),
            activation=float(scores.activations[index]),
        )


SUPERSEDED = "superseded by"
"""How the reason begins of an anchor that another one, then named, replaces."""

PAGE = 40
WIDER = 4
"""Candidates ranked exactly, at least; where repeats use them up, so many times more."""


class _Candidates:
    """Rows as `Columns`."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self.vectors = np.stack([row.vector for row in rows if row.vector is not None])
        self.moments = np.array([row.content.stored_at.timestamp() for row in rows])
        self.saliences = np.array([row.content.salience for row in rows])
        self.superseded = np.array([instant(row.content.superseded_at) for row in rows])
        self.expiring = np.array([instant(row.content.expires_at) for row in rows])

    def of_session(self, session_id: str) -> Flags:
        return np.array([row.content.session == session_id for row in self.rows], dtype=bool)

    def among(self, anchor_ids: Set[uuid.UUID]) -> Flags:
        return np.array([row.anchor_id in anchor_ids for row in self.rows], dtype=bool)

    def matching(self, where: Where) -> Flags:
        return np.array([row.content.matches(where) for row in self.rows], dtype=bool)
