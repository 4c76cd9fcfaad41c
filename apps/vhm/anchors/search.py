"""A recall as one Qdrant request: what may answer, and a formula for its activation."""

from __future__ import annotations

import math
import uuid
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from qdrant_client import models

from vhm.anchors.types import YOUNGEST_SECONDS, Calibration, Query

SECONDS_PER_DAY = 86_400.0


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


def activation_formula(query: Query, calibration: Calibration) -> models.FormulaQuery:
    """similarity · decay · salience over a prefetch by cosine.

    exp(-λ·days) is exp_decay with midpoint 0.5 and scale 86400·ln 2/λ seconds; λ = 0 has no such scale
    and leaves the term out. `$score` is the cosine.
    """
    factors: list[Any] = [_similarity(calibration), "salience"]
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


def _similarity(calibration: Calibration) -> models.Expression:
    """Σ slope · max(0, cosine - x); a formula has no max before 1.19, so (y + |y|)/2 stands for it."""
    terms: list[Any] = []
    for x, slope in calibration.hinges:
        if slope:
            above = models.SumExpression(sum=["$score", -x])
            both = models.SumExpression(sum=[above, models.AbsExpression(abs=above)])
            terms.append(models.MultExpression(mult=[slope / 2, both]))
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
        query=activation_formula(query, calibration),
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
