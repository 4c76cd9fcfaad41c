"""How candidates are scored and chosen, once for both stores: eligibility, match, activation, diversity, and
the reasons of an explanation. All of it is pure.

The embedded store scores all that an owner has, a server's the candidates that its formula found; both rank
the strongest of these exactly, by the same code.
"""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Mapping, Sequence, Set
from datetime import timedelta

import msgspec
import numpy as np
from numpy.typing import NDArray

from vhm.anchors.payload import Content, Row
from vhm.anchors.types import Calibration, Explained, Query, Ranking, Recalled, Vector
from vhm.contract.explain import NOTHING_RELEVANT, SAME_SESSION, WEAKER
from vhm.contract.messages import Where
from vhm.memory import activation, diversity
from vhm.memory import match as matching
from vhm.memory.question import Question, question

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


MOMENT, SALIENCE, SUPERSEDED, EXPIRING, SESSION = range(5)
"""Rows of `Columns.numbers`: when an anchor was said, from when on another takes its place and when it
expires, in seconds since 1970 (inf for never); sessions are told apart by a hash of their names."""


def numbers_of(content: Content) -> tuple[float, ...]:
    """A column of `Columns.numbers`."""
    return (
        content.stored_at.timestamp(),
        content.salience,
        math.inf if content.superseded_at is None else content.superseded_at.timestamp(),
        math.inf if content.expires_at is None else content.expires_at.timestamp(),
        math.nan if content.session is None else _session_number(content.session),
    )


def _session_number(session_id: str) -> float:
    return float(hash(session_id) >> 11)  # the 53 bits that a float holds


class Columns:
    """What scoring asks of anchors. `places` says which column each is in."""

    def __init__(self, rows: Sequence[Row], numbers: Floats, places: Mapping[uuid.UUID, int]) -> None:
        self.rows = rows
        self.numbers = numbers
        self._places = places

    def of_session(self, session_id: str) -> Flags:
        """Which were said in that session."""
        said: Flags = self.numbers[SESSION] == _session_number(session_id)
        return said

    def among(self, anchor_ids: Set[uuid.UUID]) -> Flags:
        """Which have one of these ids."""
        which = np.zeros(len(self.rows), dtype=bool)
        which[[place for one in anchor_ids if (place := self._places.get(one)) is not None]] = True
        return which

    def matching(self, where: Where) -> Flags:
        """Which hold these values in their meta."""
        return np.fromiter((row.content.matches(where) for row in self.rows), bool, len(self.rows))


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
    now, moments = query.now.timestamp(), columns.numbers[MOMENT]
    oldest = (query.now - timedelta(seconds=query.min_age_seconds)).timestamp()
    rules = [Exclusion("to be ignored", columns.among(query.ignore))]
    if query.session_id is not None:
        rules.append(Exclusion(SAME_SESSION, columns.of_session(query.session_id)))
    rules.append(Exclusion("expired", columns.numbers[EXPIRING] <= max(now, time.time())))
    rules.append(Exclusion(SUPERSEDED_BY, columns.numbers[SUPERSEDED] <= now))
    rules.append(Exclusion("in the future", moments > now))
    rules.append(Exclusion(f"younger than {query.min_age_seconds:g} s", moments > oldest))
    if query.since is not None:
        rules.append(Exclusion("said before `since`", moments < query.since.timestamp()))
    if query.until is not None:
        rules.append(Exclusion("not said before `until`", moments >= query.until.timestamp()))
    if query.where:
        rules.append(Exclusion("not of that `where`", ~columns.matching(query.where)))
    return rules


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

    def scores(self, cosines: Floats, sparse: Floats, columns: Columns) -> Scores:
        """The scores of anchors with those cosines and sparse scores to the query."""
        query, meaning = self.query, self._calibration.similarity(cosines)
        moments, saliences = columns.numbers[MOMENT], columns.numbers[SALIENCE]
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
        self,
        rows: Sequence[Row],
        cosines: Floats,
        sparse: Floats,
        vector_of: Callable[[int], Vector],
        *,
        memories: int,
        more: bool,
        floor: bool = True,
    ) -> Ranking:
        """The candidates ranked, and the beats chosen among those that are eligible.

        `cosines` and `sparse` are their scores to the query, and `vector_of` gives the embedding of each;
        `memories` is how many the owner has; `more`: there are further candidates, weaker than these. Without
        `floor` the best found is relevant, whatever its match.
        """
        if not rows:
            return Ranking(beats=[], explained=[], candidates=0, memories=memories, exhausted=True)
        places = {row.anchor_id: place for place, row in enumerate(rows)}
        columns = Columns(rows, np.array([numbers_of(row.content) for row in rows]).T, places)
        scores = self.scores(cosines, sparse, columns)
        reasons = self._reasons(columns, scores, cosines, memories, floor=floor)
        strength = self.order(scores)
        ranked = sorted(
            range(len(rows)), key=lambda row: (-strength[row], -cosines[row], rows[row].anchor_id.int)
        )
        chosen = self._choose(rows, vector_of, ranked, reasons)
        explained = ranked[: self.query.explain]
        recalled = {row: self._recalled(rows[row], scores, row) for row in {*chosen, *explained}}
        return Ranking(
            beats=[recalled[row] for row in chosen],
            explained=[Explained(recalled=recalled[row], left_out=reasons.get(row)) for row in explained],
            candidates=len(rows),
            memories=memories,
            exhausted=not more or not {WEAKER, NOTHING_RELEVANT}.isdisjoint(reasons.values()),
        )

    def _reasons(
        self, columns: Columns, scores: Scores, cosines: Floats, memories: int, *, floor: bool
    ) -> dict[int, str]:
        """Why candidates are no beats, whatever else is chosen."""
        reasons: dict[int, str] = {}
        rules = exclusions(self.query, columns)
        for rule in reversed(rules):
            reasons |= dict.fromkeys(np.flatnonzero(rule.excluded).tolist(), rule.reason)
        for row, reason in reasons.items():
            if reason == SUPERSEDED_BY:
                reasons[row] = f"{SUPERSEDED_BY} {columns.rows[row].content.superseded_by}"
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

    def _choose(
        self,
        anchors: Sequence[Row],
        vector_of: Callable[[int], Vector],
        ranked: Sequence[int],
        reasons: dict[int, str],
    ) -> list[int]:
        """The rows of the beats, strongest first. Adds the reasons of those that repeat, resemble, or come
        after enough others."""
        rows, query = [row for row in ranked if row not in reasons], self.query
        texts = [anchors[row].content.text for row in rows]
        choice = diversity.select_diverse(
            lambda place: vector_of(rows[place]), texts, query.limit, query.diversity_threshold
        )
        for index, left_out in choice.left_out.items():
            if left_out.why == "weaker" or left_out.of is None:
                reasons[rows[index]] = WEAKER
                continue
            other = anchors[rows[left_out.of]].anchor_id
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


SUPERSEDED_BY = "superseded by"
"""How the reason begins of an anchor that another one, then named, replaces."""

PAGE = 40
WIDER = 4
"""Candidates ranked exactly, at least; where repeats use them up, so many times more."""
