"""The anchors that a recall by meaning and words has come across, as columns, and how strong each is."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from vhm.anchors import sparse
from vhm.anchors.payload import Content, point_id
from vhm.anchors.ranking import Floats
from vhm.anchors.surroundings import Instant
from vhm.anchors.types import YOUNGEST_SECONDS, Calibration, Query, Vector
from vhm.memory import activation, bm25, hybrid

Flags = NDArray[np.bool_]


class Found:
    """Row i of every column is the same anchor. `meaning` is its calibrated cosine to the query, of which
    `sure` says whether it is exact; `may`, whether it may answer; `memory`, whether it is a memory yet."""

    def __init__(
        self, query: Query, question: hybrid.Question, calibration: Calibration, rarity: Mapping[str, float]
    ) -> None:
        self.ids: list[uuid.UUID] = []
        self.rows: dict[uuid.UUID, int] = {}
        self.contents: list[Content] = []
        self.vectors: dict[int, Vector] = {}
        self.meaning = np.empty(0)
        self.sure: Flags = np.empty(0, dtype=bool)
        self.may: Flags = np.empty(0, dtype=bool)
        self.memory: Flags = np.empty(0, dtype=bool)
        self.decays = np.empty(0)
        self.factors = np.empty(0)
        """Decay times salience."""
        self._sessions: dict[str, int] = {}
        self._session = np.empty(0, dtype=np.int64)
        self._wording = np.empty(0)
        self._told = hybrid.told(question, [])
        self._query = query
        self._question = question
        self._calibration = calibration
        self._rarity = rarity
        weights = question.terms.weights()
        self.most = sum(weight * rarity[term] for term, weight in weights.items())
        """BM25 of the question with itself."""

    def __len__(self) -> int:
        return len(self.ids)

    def row(self, point: object) -> int | None:
        """Where the anchor of that point is."""
        anchor_id = point_id(point)
        return None if anchor_id is None else self.rows.get(anchor_id)

    def instant(self, row: int) -> Instant | None:
        """Where in which session it was said."""
        content = self.contents[row]
        session = content.meta.get("session")
        return (session, content.stored_at) if isinstance(session, str) else None

    def add(self, anchors: Sequence[tuple[uuid.UUID, Content]], scores: Floats | None = None) -> None:
        """Anchors that are not there yet. `scores` are what the server's formula gave them, which knows an
        anchor's meaning or its words alone if only one of its searches returned it; without, they are taken
        to mean something else until it is known."""
        contents = [content for _, content in anchors]
        for row, (anchor_id, _) in enumerate(anchors, len(self)):
            self.rows[anchor_id] = row
            self.ids.append(anchor_id)
        self.contents.extend(contents)
        query, oldest = self._query, self._query.now - timedelta(seconds=YOUNGEST_SECONDS)
        ages = [activation.age_days(one.stored_at, query.now) for one in contents]
        decays = np.array([activation.decay(age, query.decay_lambda) for age in ages])
        factors = decays * np.array([one.salience for one in contents])
        wording = np.array(
            [
                bm25.relevance(self._question.terms, sparse.weights(one), self._rarity.__getitem__)
                for one in contents
            ]
        )
        if scores is not None:
            blends = scores / np.maximum(factors, np.finfo(np.float64).tiny)
            meaning = np.clip(
                (blends - (1 - hybrid.BLEND.meaning) * wording) / hybrid.BLEND.meaning, 0.0, 1.0
            )
        else:
            meaning = np.zeros(len(contents))
        sessions = [self._numbered(one.meta.get("session")) for one in contents]
        memory = np.array([one.stored_at <= oldest for one in contents], dtype=bool)
        mine = [
            query.session_id is not None and one.meta.get("session") == query.session_id for one in contents
        ]
        ignored = [anchor_id in query.ignore for anchor_id, _ in anchors]
        told = hybrid.told(self._question, [(one.text, one.stored_at) for one in contents])
        self.meaning = np.concatenate([self.meaning, meaning])
        self.sure = np.concatenate([self.sure, np.zeros(len(contents), dtype=bool)])
        self.memory = np.concatenate([self.memory, memory])
        self.may = np.concatenate([self.may, memory & ~np.array(mine, bool) & ~np.array(ignored, bool)])
        self.decays = np.concatenate([self.decays, decays])
        self.factors = np.concatenate([self.factors, factors])
        self._session = np.concatenate([self._session, np.array(sessions)])
        self._wording = np.concatenate([self._wording, wording])
        self._told = hybrid.Told(
            moments=np.concatenate([self._told.moments, told.moments]),
            tell_time=np.concatenate([self._told.tell_time, told.tell_time]),
            by_named=np.concatenate([self._told.by_named, told.by_named]),
        )

    def learn(self, rows: Sequence[int], cosines: Floats) -> None:
        """The exact cosines of some."""
        if len(rows):
            self.meaning[rows] = self._calibration.similarity(cosines)
            self.sure[rows] = True

    def unsure(self) -> list[int]:
        """Those whose cosine is not known."""
        rows: list[int] = np.flatnonzero(~self.sure).tolist()
        return rows

    def embed(self, row: int, vector: Vector) -> None:
        """The embedding of one, and its cosine by it."""
        self.vectors[row] = vector
        self.learn([row], np.array([np.vecdot(vector, self._query.vector)]))

    def forget(self, rows: Iterable[int]) -> None:
        """Those that are not there any more, or without an embedding, are no answer."""
        for row in rows:
            self.may[row], self.sure[row] = False, True

    def loudest_near(self, own: Floats, nothing: float = 0.0) -> Floats:
        """The greatest `own` in the session of each within an hour of it, at another instant."""
        moments = self._told.moments
        apart = np.abs(moments[:, None] - moments)
        near = (self._session[:, None] == self._session) & (self._session >= 0)
        near &= (apart > 0) & (apart <= hybrid.NEIGHBOUR_SECONDS) & self.memory
        loudest: Floats = np.where(near, own, nothing).max(axis=1, initial=nothing)
        return loudest

    def _numbered(self, session: object) -> int:
        return self._sessions.setdefault(session, len(self._sessions)) if isinstance(session, str) else -1

    def own(self, at_most: float | None = None) -> Floats:
        """What each has of its own for the question; with `at_most`, if what is not sure meant that much."""
        meaning = self.meaning if at_most is None else np.where(self.sure, self.meaning, at_most)
        return hybrid.blended(self._question, meaning, self._wording, self._told)
