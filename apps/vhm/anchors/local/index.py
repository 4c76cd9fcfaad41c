"""One collection in memory as columns: a recall is a few numpy operations over all of it, and exact."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from vhm.anchors.payload import Content, Row
from vhm.anchors.scoring import Candidate, Floats, Ranking, explained, rank
from vhm.anchors.types import YOUNGEST_SECONDS, Explained, Query, Scoring, Summary, Vector
from vhm.memory import similarity
from vhm.memory.inverted_index import Lexicon

FIRST_LOOK = 8
WIDER = 4
"""Candidates ranked exactly beyond the beats asked for; where repeats use them up, so many times more."""


NOBODY = -1
"""The session of an anchor that names none."""


class Columns:
    """Anchors in the order they came; row i of every column is the same anchor."""

    def __init__(self, size: int) -> None:
        self._rows: dict[uuid.UUID, int] = {}
        self.taken: set[uuid.UUID] = set()
        """Ids of points that are no anchors: another program's."""
        self._ids: list[uuid.UUID] = []
        self._contents: list[Content] = []
        self._sessions: dict[str, int] = {}
        self._vectors = np.empty((0, size), dtype=np.float32)
        self._moments = np.empty(0, dtype=np.float64)
        self._saliences = np.empty(0, dtype=np.float64)
        self._session = np.empty(0, dtype=np.int64)
        self._lexicon = Lexicon()
        self._order = similarity.Order(self._session, self._moments)
        self._ordered = 0

    def __len__(self) -> int:
        return len(self._ids)

    def has(self, anchor_id: uuid.UUID) -> bool:
        """Whether the id is taken, by an anchor or by something else."""
        return anchor_id in self._rows or anchor_id in self.taken

    def content(self, anchor_id: uuid.UUID) -> Content | None:
        """What that anchor holds."""
        row = self._rows.get(anchor_id)
        return None if row is None else self._contents[row]

    def rows(self) -> list[Row]:
        """All anchors."""
        return [
            Row(anchor_id, content, vector)
            for anchor_id, content, vector in zip(self._ids, self._contents, self._vectors, strict=False)
        ]

    def extend(self, anchors: Sequence[Candidate]) -> None:
        """Add anchors whose ids are new."""
        start, end = len(self), len(self) + len(anchors)
        self._reserve(end)
        for row, anchor in enumerate(anchors, start):
            session = anchor.content.session
            self._vectors[row] = anchor.vector
            self._moments[row] = anchor.content.stored_at.timestamp()
            self._saliences[row] = anchor.content.salience
            self._session[row] = (
                NOBODY if session is None else self._sessions.setdefault(session, len(self._sessions))
            )
            self._ids.append(anchor.anchor_id)
            self._contents.append(anchor.content)
            self._rows[anchor.anchor_id] = row

    def recall(self, query: Query, scoring: Scoring, at_least: int = 0) -> Ranking:
        """The exact answer; its candidates are those looked at, `at_least` so many where there are."""
        cosines, similarities, activations = self._activations(query, scoring)
        activations[~self._eligible(query)] = -np.inf
        look = max(query.limit + FIRST_LOOK, at_least)
        while True:
            rows = _strongest(activations, cosines, look)
            ranking = rank(self._candidates(rows), query, similarities[rows])
            if ranking.settled > -np.inf or len(rows) < look:
                return ranking
            look *= WIDER

    def explain(self, query: Query, scoring: Scoring, count: int) -> list[Explained]:
        """See `AnchorStore.explain`."""
        cosines, similarities, activations = self._activations(query, scoring)
        activations[self._eligible(query)] = -np.inf
        rows = _strongest(activations, cosines, count)
        ranking = self.recall(query, scoring, count)
        return explained(ranking, self._candidates(rows), query, similarities[rows])[:count]

    def summary(self, now: datetime, session_id: str | None) -> Summary:
        """See `AnchorStore.summary`."""
        n, session = len(self), self._sessions.get(session_id or "", None)
        return Summary(
            total=n,
            younger_than_5s=int(np.count_nonzero(self._moments[:n] > _youngest(now))),
            of_session=0 if session is None else int(np.count_nonzero(self._session[:n] == session)),
        )

    def _activations(self, query: Query, scoring: Scoring) -> tuple[Vector, Floats, Floats]:
        """Cosines, similarities to the query, and activations."""
        n = len(self)
        # not `@`: BLAS hands so little work to threads that wait for one another, 0.7 ms against 25 ms at
        # 10 000 anchors on two busy cores
        cosines = np.vecdot(self._vectors[:n], query.vector)
        similarities = scoring.calibration.similarity(cosines)
        if scoring.hybrid:
            similarities = self._with_words(query, similarities)
        ages = np.maximum(query.now.timestamp() - self._moments[:n], 0.0)
        decays = np.exp(-query.decay_lambda / timedelta(days=1).total_seconds() * ages)
        return cosines, similarities, similarities * decays * self._saliences[:n]

    def _with_words(self, query: Query, meaning: Floats) -> Floats:
        self.read_words()
        n = len(self)
        if self._ordered < n:
            self._order = similarity.Order(self._session[:n], self._moments[:n])
            self._ordered = n
        asked = similarity.question(query.text, query.now)
        wording = self._lexicon.relevance(asked.terms)
        own = similarity.blended(asked, meaning, wording, self._lexicon.told(asked))
        remembered = self._moments[:n] <= _youngest(query.now)  # what is none yet lends nothing either
        return similarity.lifted(own, self._order.strongest(np.where(remembered, own, 0.0)))

    def read_words(self) -> None:
        """Take in the words of anchors that came since the last time; a recall by words would do it first."""
        known = len(self._lexicon)
        if known < len(self):
            self._lexicon.extend((content.text, content.stored_at) for content in self._contents[known:])

    def _eligible(self, query: Query) -> NDArray[np.bool_]:
        n = len(self)
        may: NDArray[np.bool_] = self._moments[:n] <= _youngest(query.now)
        session = self._sessions.get(query.session_id) if query.session_id is not None else None
        if session is not None:
            may &= self._session[:n] != session
        may[[row for anchor_id in query.ignore if (row := self._rows.get(anchor_id)) is not None]] = False
        return may

    def _candidates(self, rows: Sequence[int]) -> list[Candidate]:
        return [
            Candidate(anchor_id=self._ids[row], content=self._contents[row], vector=self._vectors[row])
            for row in rows
        ]

    def _reserve(self, rows: int) -> None:
        if rows <= len(self._moments):
            return
        room = max(1024, rows + rows // 2)
        self._vectors = _grown(self._vectors, room)
        self._moments = _grown(self._moments, room)
        self._saliences = _grown(self._saliences, room)
        self._session = _grown(self._session, room)


def _youngest(now: datetime) -> float:
    return (now - timedelta(seconds=YOUNGEST_SECONDS)).timestamp()


def _strongest(activations: Floats, cosines: Vector, count: int) -> list[int]:
    """Rows of the `count` highest, of equals those nearest; those that are -inf are left out."""
    if len(activations) <= count:
        return [int(row) for row in np.flatnonzero(activations > -np.inf)]
    least = np.partition(activations, -count)[-count]
    above = np.flatnonzero(activations > least)
    level = np.flatnonzero(activations == least) if least > -np.inf else above[:0]
    spare = count - len(above)
    if len(level) > spare:
        level = level[np.argpartition(cosines[level], -spare)[-spare:]]
    return [int(row) for row in (*above, *level)]


def _grown(column: np.ndarray, rows: int) -> np.ndarray:
    grown = np.empty((rows, *column.shape[1:]), dtype=column.dtype)
    grown[: len(column)] = column
    return grown
