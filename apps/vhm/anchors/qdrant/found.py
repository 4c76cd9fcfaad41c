"""The anchors that a recall by meaning and words has come across, as columns, and how strong each is."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from vhm.anchors.payload import Content
from vhm.anchors.qdrant.surroundings import Instant
from vhm.anchors.scoring import Candidate, Floats
from vhm.anchors.types import YOUNGEST_SECONDS, Calibration, Query, Vector
from vhm.memory import activation, bm25, similarity

Flags = NDArray[np.bool_]


class Found:
    """Row i of every column is the same anchor."""

    def __init__(
        self,
        query: Query,
        question: similarity.Question,
        calibration: Calibration,
        rarity: Mapping[str, float],
    ) -> None:
        self.ids: list[uuid.UUID] = []
        self.rows: dict[uuid.UUID, int] = {}
        self.contents: list[Content] = []
        self.instants: list[Instant | None] = []
        """Where in which session each was said."""
        self.vectors: dict[int, Vector] = {}
        """The embeddings that are known."""
        self.own = np.empty(0)
        """What each has of its own for the question."""
        self.may: Flags = np.empty(0, dtype=bool)
        """Whether it may answer."""
        self.memory: Flags = np.empty(0, dtype=bool)
        """Whether it is a memory yet."""
        self.decays = np.empty(0)
        self.factors = np.empty(0)
        """Decay times salience."""
        self._moments = np.empty(0)
        self._session = np.empty(0, dtype=np.int64)
        self._sessions: dict[str, int] = {}
        self._query = query
        self._question = question
        self._calibration = calibration
        self.words = bm25.Measure(question.terms, rarity.__getitem__)
        """How well texts answer the question by their words."""

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, anchors: Mapping[uuid.UUID, Content], cosines: Floats) -> None:
        """Anchors that are not there yet, and their cosines to the query."""
        query, contents = self._query, list(anchors.values())
        self.rows |= {anchor_id: row for row, anchor_id in enumerate(anchors, len(self))}
        self.ids.extend(anchors)
        self.contents.extend(contents)
        self.instants.extend(
            None if one.session is None else (one.session, one.stored_at) for one in contents
        )
        ages = [activation.age_days(one.stored_at, query.now) for one in contents]
        decays = np.array([activation.decay(age, query.decay_lambda) for age in ages])
        factors = decays * np.array([one.salience for one in contents])
        readings = [similarity.read(one.text, one.stored_at) for one in contents]
        wording = np.array([self.words.relevance(one.weights) for one in readings])
        told = similarity.told(self._question, readings)
        own = similarity.blended(self._question, self._calibration.similarity(cosines), wording, told)
        oldest = query.now - timedelta(seconds=YOUNGEST_SECONDS)
        memory = np.array([one.stored_at <= oldest for one in contents], dtype=bool)
        may = memory & ~np.array(
            [
                anchor_id in query.ignore
                or (query.session_id is not None and one.session == query.session_id)
                for anchor_id, one in anchors.items()
            ],
            dtype=bool,
        )
        session = np.array([self._numbered(one.session) for one in contents], dtype=np.int64)
        self.own = np.concatenate([self.own, own])
        self.may = np.concatenate([self.may, may])
        self.memory = np.concatenate([self.memory, memory])
        self.decays = np.concatenate([self.decays, decays])
        self.factors = np.concatenate([self.factors, factors])
        self._moments = np.concatenate([self._moments, told.moments])
        self._session = np.concatenate([self._session, session])

    def forget(self, row: int) -> None:
        """One that is not there any more, or without an embedding, is no answer."""
        self.may[row] = False

    def candidates(self, rows: Sequence[int]) -> list[Candidate]:
        """Some of those whose embedding is known."""
        return [
            Candidate(anchor_id=self.ids[row], content=self.contents[row], vector=self.vectors[row])
            for row in rows
        ]

    def loudest_near(self) -> Floats:
        """The greatest `own` in the session of each within an hour of it, at another instant."""
        apart = np.abs(self._moments[:, None] - self._moments)
        near = (self._session[:, None] == self._session) & (self._session >= 0)
        near &= (apart > 0) & (apart <= similarity.NEIGHBOUR_SECONDS) & self.memory
        loudest: Floats = np.where(near, self.own, 0.0).max(axis=1, initial=0.0)
        return loudest

    def _numbered(self, session: str | None) -> int:
        return -1 if session is None else self._sessions.setdefault(session, len(self._sessions))
