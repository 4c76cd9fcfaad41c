"""A recall as one Qdrant request: what may answer, and a formula for its activation."""

from __future__ import annotations

import math
import uuid
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from qdrant_client import models

from vhm.anchors.payload import Content
from vhm.anchors.types import YOUNGEST_SECONDS, Calibration, Query
from vhm.memory.hybrid import NEIGHBOUR_SECONDS

SECONDS_PER_DAY = 86_400.0

NEIGHBOURS = 4
"""Anchors of one instant that are looked at as somebody's neighbours."""


def eligible(query: Query) -> models.Filter:
    """Old enough at `now`, not of the asking session, not among those to ignore."""
    oldest = query.now - timedelta(seconds=YOUNGEST_SECONDS)
    unwanted: list[models.Condition] = []
    if query.session_id is not None:
        unwanted.append(of_session(query.session_id))
    if query.ignore:
        unwanted.append(models.HasIdCondition(has_id=ids(query.ignore)))
    return models.Filter(
        must=[models.FieldCondition(key="stored_at", range=models.DatetimeRange(lte=oldest))],
        must_not=unwanted or None,
    )


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


def blend(calibration: Calibration, meaning: float, wording: float) -> models.Expression:
    """`meaning` · similarity by cosine, which is the first prefetch's score, + `wording` · the second's.

    Σ slope · max(0, cosine - x); a formula has no max before 1.19, so (y + |y|)/2 stands for it.
    """
    terms: list[Any] = []
    for x, slope in calibration.hinges:
        if slope:
            above = models.SumExpression(sum=["$score[0]", -x])
            both = models.SumExpression(sum=[above, models.AbsExpression(abs=above)])
            terms.append(models.MultExpression(mult=[meaning * slope / 2, both]))
    if wording:
        terms.append(models.MultExpression(mult=[wording, "$score[1]"]))
    return models.SumExpression(sum=terms)


def strongest(
    query: Query,
    calibration: Calibration,
    may: models.Filter,
    *,
    prefetch: int,
    offset: int,
    limit: int,
    exact: bool,
) -> models.QueryRequest:
    """Those of highest activation among the `prefetch` nearest."""
    nearest = models.Prefetch(
        query=query.vector.tolist(), filter=may, limit=prefetch, params=models.SearchParams(exact=exact)
    )
    return models.QueryRequest(
        prefetch=nearest,
        query=activation_formula(query, blend(calibration, 1.0, 0.0)),
        offset=offset,
        limit=limit,
        with_payload=True,
        with_vector=True,
    )


def last_nearest(query: Query, may: models.Filter, *, prefetch: int, exact: bool) -> models.QueryRequest:
    """The last of the `prefetch` nearest; nothing where there are no more than these."""
    return models.QueryRequest(
        query=query.vector.tolist(),
        filter=may,
        params=models.SearchParams(exact=exact),
        offset=prefetch,
        limit=1,
    )


def most_salient(may: models.Filter) -> models.QueryRequest:
    """The one of greatest salience among those that may answer."""
    order = models.OrderBy(key="salience", direction=models.Direction.DESC)
    return models.QueryRequest(
        query=models.OrderByQuery(order_by=order), filter=may, limit=1, with_payload=["salience"]
    )


def salience_of(salient: list[models.ScoredPoint]) -> float:
    """The answer to `most_salient`; an anchor that says none has 1."""
    return max(1.0, float((salient[0].payload or {}).get("salience", 1.0))) if salient else 1.0


def beside(content: Content) -> list[models.QueryRequest]:
    """What was said just before and just after in the same session, each side nearest first."""
    session, moment = content.meta.get("session"), content.stored_at
    if not isinstance(session, str):
        return []
    near = timedelta(seconds=NEIGHBOUR_SECONDS)
    before = models.DatetimeRange(gte=moment - near, lt=moment)
    after = models.DatetimeRange(gt=moment, lte=moment + near)
    return [
        models.QueryRequest(
            query=models.OrderByQuery(order_by=models.OrderBy(key="stored_at", direction=direction)),
            filter=models.Filter(
                must=[of_session(session), models.FieldCondition(key="stored_at", range=span)]
            ),
            limit=NEIGHBOURS,
            with_payload=True,
            with_vector=True,
        )
        for span, direction in ((before, models.Direction.DESC), (after, models.Direction.ASC))
    ]
