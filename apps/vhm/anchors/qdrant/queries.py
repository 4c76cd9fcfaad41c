"""A recall by meaning as one Qdrant request: what may answer, and a formula for its activation."""

from __future__ import annotations

import math
import uuid
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from qdrant_client import models

from vhm.anchors.qdrant.requests import Prefetch, Request, numbers, written
from vhm.anchors.qdrant.wire import Point
from vhm.anchors.types import YOUNGEST_SECONDS, Calibration, Query

SECONDS_PER_DAY = 86_400.0

PAYLOAD = ["text", "stored_at", "salience", "meta"]
"""What an anchor is made of."""


def eligible(query: Query) -> models.Filter:
    """Old enough at `now`, not of the asking session, not among those to ignore."""
    oldest = query.now - timedelta(seconds=YOUNGEST_SECONDS)
    stored = said(lte=oldest)
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


def said(**span: datetime) -> models.FieldCondition:
    """Anchors said `gte`, `gt`, `lte` or `lt` some moments."""
    return models.FieldCondition(key="stored_at", range=models.DatetimeRange(**span))


def younger(now: datetime) -> models.FieldCondition:
    """Anchors that are no memory yet at `now`."""
    oldest = now - timedelta(seconds=YOUNGEST_SECONDS)
    return said(gt=oldest)


def ids(anchor_ids: Collection[uuid.UUID]) -> list[models.ExtendedPointId]:
    """Point ids of anchors."""
    return [str(anchor_id) for anchor_id in anchor_ids]


def activation_formula(
    query: Query, similarity: models.Expression, usual: Mapping[str, float] | None = None
) -> models.FormulaQuery:
    """similarity · decay · salience; `usual` are scores taken for those that a prefetch did not return.

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
    return models.FormulaQuery(
        formula=models.MultExpression(mult=factors), defaults={"salience": 1.0, **(usual or {})}
    )


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
) -> Request:
    """Those of highest activation among the `prefetch` nearest of each band of salience; given cosines by
    band, of those bands alone and no further away."""
    floors = dict.fromkeys(range(len(BANDS))) if from_cosines is None else from_cosines
    vector, params = numbers(query.vector), models.SearchParams(exact=exact)
    nearest = [
        Prefetch(
            query=vector,
            filter=written(of_band(may, band)),
            limit=prefetch,
            score_threshold=floor,
            params=params,
        )
        for band, floor in floors.items()
    ]
    # an anchor lies in one band, and the others score it 0
    cosine = models.SumExpression(sum=[f"$score[{index}]" for index in range(len(nearest))])
    return Request(
        prefetch=nearest,
        query=activation_formula(query, similarity_of(calibration, cosine)),
        offset=offset,
        limit=limit,
        with_payload=PAYLOAD,
        with_vector=True,
    )


class _Salience(msgspec.Struct):
    salience: float = 1.0


def most_salient(may: models.Filter) -> Request:
    """The one of greatest salience among those that may answer."""
    order = models.OrderBy(key="salience", direction=models.Direction.DESC)
    return Request(query=models.OrderByQuery(order_by=order), filter=may, limit=1, with_payload=["salience"])


def salience_of(salient: list[Point]) -> float:
    """The answer to `most_salient`; an anchor that says none has 1."""
    most = msgspec.json.decode(salient[0].payload, type=_Salience | None) if salient else None
    return max(1.0, most.salience) if most else 1.0
