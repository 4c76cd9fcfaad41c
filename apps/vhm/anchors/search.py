"""A recall as one Qdrant request: what may answer, and a formula for its activation."""

from __future__ import annotations

import math
import uuid
from collections.abc import Collection, Mapping
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


def blend(calibration: Calibration, meaning: float, wording: float) -> models.Expression:
    """`meaning` · similarity by cosine, the greater of the first two prefetches' scores (one that did not
    return an anchor scores it 0), + `wording` · the third's."""
    difference = models.AbsExpression(
        abs=models.SumExpression(sum=["$score[0]", models.NegExpression(neg="$score[1]")])
    )
    twice = models.SumExpression(sum=["$score[0]", "$score[1]", difference])
    cosine = models.MultExpression(mult=[0.5, twice])
    terms: list[Any] = [models.MultExpression(mult=[meaning, similarity_of(calibration, cosine)])]
    if wording:
        terms.append(models.MultExpression(mult=[wording, "$score[2]"]))
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
        with_payload=True,
        with_vector=True,
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
