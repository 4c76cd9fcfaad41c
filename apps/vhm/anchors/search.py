"""A recall as one Qdrant request: what may answer, and a formula for its activation."""

from __future__ import annotations

import contextlib
import math
import uuid
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from qdrant_client import models

from vhm.anchors.surroundings import Instant
from vhm.anchors.types import YOUNGEST_SECONDS, Calibration, Query
from vhm.anchors.wire import Point

SECONDS_PER_DAY = 86_400.0

PAYLOAD = ["text", "stored_at", "salience", "meta"]
"""What an anchor is made of."""


def eligible(query: Query) -> models.Filter:
    """Old enough at `now`, not of the asking session, not among those to ignore."""
    oldest = query.now - timedelta(seconds=YOUNGEST_SECONDS)
    stored = models.FieldCondition(key="stored_at", range=models.DatetimeRange(lte=oldest))
    # denied twice: an index of what must be would be gone through from end to end, and that is all there is
    unwanted: list[models.Condition] = [models.Filter(must_not=[stored])]
    if query.session_id is not None:
        unwanted.append(of_session(query.session_id))
    if query.ignore:
        unwanted.append(models.HasIdCondition(has_id=ids(query.ignore)))
    return models.Filter(must_not=unwanted)


def of_session(session_id: str) -> models.FieldCondition:
    """Anchors said in that session."""
    return models.FieldCondition(key="meta.session", match=models.MatchValue(value=session_id))


def younger(now: datetime) -> models.FieldCondition:
    """Anchors that are no memory yet at `now`."""
    oldest = now - timedelta(seconds=YOUNGEST_SECONDS)
    return models.FieldCondition(key="stored_at", range=models.DatetimeRange(gt=oldest))


def ids(anchor_ids: Collection[uuid.UUID]) -> list[models.ExtendedPointId]:
    """Point ids of anchors."""
    return [str(anchor_id) for anchor_id in anchor_ids]


def activation_formula(query: Query, similarity: models.Expression) -> models.FormulaQuery:
    """similarity · decay · salience.

    exp(-λ·days) is exp_decay with midpoint 0.5 and scale 86400·ln 2/λ seconds; λ = 0 has no such scale
    and leaves the term out.
    """
    factors: list[Any] = [similarity, "salience"]
    if query.decay_lambda > 0:
        factors.append(
            models.ExpDecayExpression(
                exp_decay=models.DecayParamsExpression(
                    x=models.DatetimeKeyExpression(datetime_key="stored_at"),
                    target=models.DatetimeExpression(datetime=query.now.isoformat()),
                    scale=SECONDS_PER_DAY * math.log(2) / query.decay_lambda,
                    midpoint=0.5,
                )
            )
        )
    return models.FormulaQuery(formula=models.MultExpression(mult=factors), defaults={"salience": 1.0})


def similarity_of(calibration: Calibration, cosine: Any) -> models.Expression:
    """The calibrated similarity of a cosine.

    Σ slope · max(0, cosine - x); a formula has no max before 1.19, so (y + |y|)/2 stands for it.
    """
    terms: list[Any] = []
    for x, slope in calibration.hinges:
        if slope:
            above = models.SumExpression(sum=[cosine, -x])
            both = models.SumExpression(sum=[above, models.AbsExpression(abs=above)])
            terms.append(models.MultExpression(mult=[slope / 2, both]))
    return models.SumExpression(sum=terms)


YOUNG_HALVES = 0.5
"""Up to what age an anchor is young here, in times that halve its decay."""

IMPORTANT = 1.2
"""The salience above which one is important."""


def bands(query: Query, may: models.Filter) -> tuple[list[models.Filter], list[models.Filter]]:
    """Those that may answer by what their age and their salience make of a similarity: what is nearest or
    shares most words among all is seldom what is strongest, but it is among those alike in that. By age
    alone, and by both."""
    important = models.FieldCondition(key="salience", range=models.Range(gt=IMPORTANT))
    by_age: list[models.Filter] = [may]
    with contextlib.suppress(OverflowError, ZeroDivisionError):
        days = YOUNG_HALVES * math.log(2) / query.decay_lambda
        since = models.DatetimeRange(gt=query.now - timedelta(days=days))
        young = models.FieldCondition(key="stored_at", range=since)
        by_age = [models.Filter(must=[may], must_not=[young]), models.Filter(must=[may, young])]
    by_both = [
        band
        for of_age in by_age
        for band in (
            models.Filter(must=[of_age, important]),
            models.Filter(must=[of_age], must_not=[important]),
        )
    ]
    return by_age, by_both


def blend(
    calibration: Calibration, meaning: float, near: int, wording: float, wordy: int
) -> models.Expression:
    """`meaning` · similarity by cosine, the score of one of the first `near` prefetches, + `wording` · that
    of one of the `wordy` after them: an anchor lies in one band, and the others score it 0."""
    cosine = models.SumExpression(sum=[f"$score[{index}]" for index in range(near)])
    terms: list[Any] = [models.MultExpression(mult=[meaning, similarity_of(calibration, cosine)])]
    if wording:
        words = models.SumExpression(sum=[f"$score[{index}]" for index in range(near, near + wordy)])
        terms.append(models.MultExpression(mult=[wording, words]))
    return models.SumExpression(sum=terms)


BANDS: tuple[models.Range | None, ...] = (
    None,
    models.Range(gt=1.0, lte=1.6),
    models.Range(gt=1.6),
)
"""Anchors by salience; the first are those of at most 1, and those that say none."""

BAND_TOPS = (1.0, 1.6, math.inf)
"""The greatest salience of each."""


def of_band(may: models.Filter, band: int) -> models.Filter:
    """Those of `may` that lie in a band of salience."""
    within = BANDS[band]
    if within is None:
        above = models.FieldCondition(key="salience", range=models.Range(gt=BAND_TOPS[0]))
        return models.Filter(must=[may], must_not=[above])
    return models.Filter(must=[may, models.FieldCondition(key="salience", range=within)])


def strongest(
    query: Query,
    calibration: Calibration,
    may: models.Filter,
    *,
    prefetch: int,
    limit: int,
    exact: bool,
    offset: int = 0,
    from_cosines: Mapping[int, float] | None = None,
) -> models.QueryRequest:
    """Those of highest activation among the `prefetch` nearest of each band of salience; given cosines by
    band, of those bands alone and no further away."""
    floors = dict.fromkeys(range(len(BANDS))) if from_cosines is None else from_cosines
    nearest = [
        models.Prefetch(
            query=query.vector.tolist(),
            filter=of_band(may, band),
            limit=prefetch,
            score_threshold=floor,
            params=models.SearchParams(exact=exact),
        )
        for band, floor in floors.items()
    ]
    # an anchor lies in one band, and the others score it 0
    cosine = models.SumExpression(sum=[f"$score[{index}]" for index in range(len(nearest))])
    return models.QueryRequest(
        prefetch=nearest,
        query=activation_formula(query, similarity_of(calibration, cosine)),
        offset=offset,
        limit=limit,
        with_payload=PAYLOAD,
        with_vector=True,
    )


class _Salience(msgspec.Struct):
    salience: float = 1.0


def most_salient(may: models.Filter) -> models.QueryRequest:
    """The one of greatest salience among those that may answer."""
    order = models.OrderBy(key="salience", direction=models.Direction.DESC)
    return models.QueryRequest(
        query=models.OrderByQuery(order_by=order), filter=may, limit=1, with_payload=["salience"]
    )


def salience_of(salient: list[Point]) -> float:
    """The answer to `most_salient`; an anchor that says none has 1."""
    most = msgspec.json.decode(salient[0].payload, type=_Salience | None) if salient else None
    return max(1.0, most.salience) if most else 1.0


def beside(at: Instant, earlier: int, later: int) -> list[models.QueryRequest]:
    """What was said at an instant of a session and before it, latest first; and after it, earliest first;
    so many at most."""
    session, moment = at
    back = models.DatetimeRange(lte=moment), models.Direction.DESC, earlier
    forth = models.DatetimeRange(gt=moment), models.Direction.ASC, later
    return [
        models.QueryRequest(
            query=models.OrderByQuery(order_by=models.OrderBy(key="stored_at", direction=direction)),
            filter=models.Filter(
                must=[of_session(session), models.FieldCondition(key="stored_at", range=span)]
            ),
            limit=limit,
            with_payload=PAYLOAD,
        )
        for span, direction, limit in (back, forth)
    ]


def cosines(query: Query, anchor_ids: Collection[uuid.UUID]) -> models.QueryRequest:
    """The cosines of some anchors as scores."""
    return models.QueryRequest(
        query=query.vector.tolist(),
        filter=models.Filter(must=[models.HasIdCondition(has_id=ids(anchor_ids))]),
        limit=len(anchor_ids),
        params=models.SearchParams(exact=True),
        with_payload=False,
    )


def these(
    anchor_ids: Collection[uuid.UUID], limit: int, *, payload: bool = False, vectors: bool = False
) -> models.QueryRequest:
    """Some anchors: what they hold, or their embeddings."""
    return models.QueryRequest(
        filter=models.Filter(must=[models.HasIdCondition(has_id=ids(anchor_ids))]),
        limit=limit,
        with_payload=PAYLOAD if payload else False,
        with_vector=[""] if vectors else False,
    )
