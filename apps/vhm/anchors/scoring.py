"""The exact order of candidates: activation to float64, then what repeats or resembles is left out."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from vhm.anchors.payload import Content
from vhm.anchors.types import Calibration, Explained, Query, Recalled, Vector
from vhm.memory import activation, diversity

Floats = NDArray[np.float64]


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """An anchor that may answer. `vector` is its embedding, of unit length."""

    anchor_id: uuid.UUID
    content: Content
    vector: Vector


class Ranking(msgspec.Struct, frozen=True, kw_only=True):
    """Candidates strongest first, and which of them are the beats."""

    candidates: list[Recalled]
    choice: diversity.Choice
    settled: float
    """An anchor that is not among the candidates and not stronger than this changes nothing."""

    @property
    def beats(self) -> list[Recalled]:
        """The chosen ones, strongest first."""
        return [self.candidates[index] for index in self.choice.chosen]


def by_meaning(candidates: Sequence[Candidate], query: Query, calibration: Calibration) -> Floats:
    """Similarities by embedding alone."""
    cosines = np.array([np.vecdot(candidate.vector, query.vector) for candidate in candidates])
    return calibration.similarity(cosines)


def rank(candidates: Sequence[Candidate], query: Query, similarities: Floats) -> Ranking:
    """The candidates, of those similarities to the query, in the order of their activation; of equals
    the nearer comes first, then by id."""
    if not candidates:
        return Ranking(candidates=[], choice=diversity.Choice([], {}), settled=-np.inf)
    vectors = np.stack([candidate.vector for candidate in candidates])
    cosines = np.vecdot(vectors, query.vector)
    recalled = [
        _recalled(candidate, float(similarity), query)
        for candidate, similarity in zip(candidates, similarities, strict=True)
    ]
    order = sorted(
        range(len(recalled)),
        key=lambda i: (-recalled[i].activation, -float(cosines[i]), recalled[i].anchor_id.int),
    )
    ranked = [recalled[index] for index in order]
    choice = diversity.weigh(
        vectors[order], [one.text for one in ranked], query.limit, query.diversity_threshold
    )
    return Ranking(candidates=ranked, choice=choice, settled=_settled(ranked, choice))


def explained(
    ranking: Ranking, excluded: Sequence[Candidate], query: Query, similarities: Floats
) -> list[Explained]:
    """The candidates of a recall and those it was not to look at (with their similarities), strongest
    first, each with the reason why it is no beat."""
    told = [
        Explained(recalled=one, left_out=_reason(ranking, index))
        for index, one in enumerate(ranking.candidates)
    ]
    for one in rank(excluded, query, similarities).candidates:
        session = next(c.content.session for c in excluded if c.anchor_id == one.anchor_id)
        told.append(Explained(recalled=one, left_out=_exclusion(one, session, query)))
    return sorted(told, key=lambda explained: -explained.recalled.activation)


def _reason(ranking: Ranking, index: int) -> str | None:
    reason = ranking.choice.left_out.get(index)
    if reason is None:
        return None
    if reason.why == "weaker" or reason.of is None:
        return "weaker than those chosen"
    other = ranking.candidates[reason.of].anchor_id
    return f"same text as {other}" if reason.why == "repeats" else f"cosine {reason.cosine:.2f} with {other}"


def _exclusion(one: Recalled, session: object, query: Query) -> str:
    if one.anchor_id in query.ignore:
        return "to be ignored"
    if session is not None and session == query.session_id:
        return "said in this session"
    return "younger than 5 s" if one.stored_at <= query.now else "in the future"


def _recalled(candidate: Candidate, similarity: float, query: Query) -> Recalled:
    content = candidate.content
    decay = activation.decay(activation.age_days(content.stored_at, query.now), query.decay_lambda)
    return Recalled(
        anchor_id=candidate.anchor_id,
        text=content.text,
        stored_at=content.stored_at,
        salience=content.salience,
        similarity=similarity,
        decay=decay,
        activation=similarity * decay * content.salience,
    )


def _settled(ranked: Sequence[Recalled], choice: diversity.Choice) -> float:
    """Once as many as asked for differ, all that follow are `weaker`; until then a further candidate
    could still take the place of one that only fills the list."""
    weaker = [index for index, reason in choice.left_out.items() if reason.why == "weaker"]
    return ranked[min(weaker) - 1].activation if weaker else -np.inf
