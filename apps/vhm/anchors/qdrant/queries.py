"""Qdrant queries, each made from the scope it may look at."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from qdrant_client import models

from vhm.anchors.lifecycle import Tombstone
from vhm.anchors.listing import Listing
from vhm.anchors.payload import (
    ANCHOR_ID_KEY,
    EXPIRES_KEY,
    OWNER_KEY,
    SHAPE,
    SHAPE_KEY,
    SUPERSEDED_AT_KEY,
    SUPERSEDED_BY_KEY,
    SUPERSEDES_KEY,
    WRITTEN_KEY,
)
from vhm.anchors.qdrant import sparse
from vhm.anchors.scope import Scope
from vhm.anchors.types import Calibration, Query, Vector
from vhm.memory import activation
from vhm.memory import match as matching
from vhm.memory.periods import Period
from vhm.memory.question import Question
from vhm.memory.session_context import DEPTH, LONGEST_PAUSE

PREFETCH = 200
MOST_BY_WORDS, SHARE_BY_WORDS = 1_000, 50
"""Points that each part of a recall prefetches where age and salience count a fifth; the more they count, the
more. Of those that share most words it is one in so many of all, between the two numbers. Of the exact top
three among made-up anchors up to ten years old .99 are then found, of 10 000 (with 100 of each .96) and of
100 000 (with 200 of each .91, with 632 by words .98)."""

PAYLOAD = [
    "text",
    "stored_at",
    "salience",
    "meta",
    OWNER_KEY,
    ANCHOR_ID_KEY,
    SUPERSEDES_KEY,
    EXPIRES_KEY,
    SUPERSEDED_AT_KEY,
    SUPERSEDED_BY_KEY,
    WRITTEN_KEY,
]
"""What an anchor is made of."""

DENSE = ""
"""The unnamed vector beside others."""

UNSEEN_SIMILARITY = 0.25
"""The calibrated cosine taken for anchors that only their words brought."""

LEAST_SALIENCE = 0.01

COUNTED = 1_000
"""Anchors that are counted one by one; whoever has more is taken to have words about as rare as these say."""


Formula = Any
"""A formula as Qdrant reads it in JSON: a number, a key, a condition, or an operation on formulas."""


class Prefetch(models.Prefetch):
    """What a query chooses among. It may be by a `Formula`: with the client's own types every kind of
    expression is tried at every level, which takes as long as the rest of a recall's request."""

    query: Any = None


class QueryRequest(models.QueryRequest):
    """A query that may be by a `Formula`."""

    prefetch: Any = None
    query: Any = None


class QueryRequestBatch(models.QueryRequestBatch):
    """Several of these."""

    searches: Any


class ScopedQuery:
    """A query of one owner's anchors. The filter goes down into every prefetch."""

    def __init__(
        self,
        scope: Scope,
        *,
        must: Sequence[models.Condition] = (),
        must_not: Sequence[models.Condition] = (),
        **request: Any,
    ) -> None:
        """`request` is what else `models.QueryRequest` takes."""
        which = models.Filter(must=[owned(scope), *must], must_not=list(must_not) or None)
        # constructed, not validated: that tries every kind of query on every number of a vector
        self.request = QueryRequest.model_construct(filter=which, **request)


def owned(scope: Scope) -> models.Condition:
    """The anchors of a scope. Those of the owner "" name none, as points of other programs do."""
    if scope.owner:
        return models.FieldCondition(key=OWNER_KEY, match=models.MatchValue(value=scope.owner))
    return models.IsEmptyCondition(is_empty=models.PayloadField(key=OWNER_KEY))


def named_owners() -> models.Filter:
    """The anchors of all owners but ""."""
    return models.Filter(must_not=[models.IsEmptyCondition(is_empty=models.PayloadField(key=OWNER_KEY))])


def of_session(session_id: str) -> models.FieldCondition:
    """Anchors said in that session."""
    return models.FieldCondition(key="meta.session", match=models.MatchValue(value=session_id))


def said(**span: datetime) -> models.FieldCondition:
    """Anchors said `gte`, `gt`, `lte` or `lt` some moments."""
    return models.FieldCondition(key="stored_at", range=models.DatetimeRange(**span))


def listed(listing: Listing, **bounds: datetime) -> models.Filter:
    """The anchors of a listing, said within `bounds` besides."""
    must: list[models.Condition] = [owned(listing.scope)]
    span = {"gte": listing.since, "lt": listing.until}
    must += [said(**{name: moment}) for name, moment in span.items() if moment is not None]
    must += [said(**{name: moment}) for name, moment in bounds.items()]
    must += [condition for pair in listing.where.items() if (condition := _holds(*pair)) is not None]
    if listing.text:
        # without a full-text index it is an exact part of the text
        must.append(models.FieldCondition(key="text", match=models.MatchText(text=listing.text)))
    return models.Filter(must=must, must_not=[expired(datetime.now(UTC))])


def expired(now: datetime) -> models.FieldCondition:
    """Anchors that expire at that moment or did before."""
    return models.FieldCondition(key=EXPIRES_KEY, range=models.DatetimeRange(lte=now))


def named(scope: Scope, anchor_ids: Iterable[uuid.UUID], written: int | None = None) -> models.Filter:
    """The anchors of a scope with these ids, as far as they were not written after `written`."""
    must: list[models.Condition] = [owned(scope), models.HasIdCondition(has_id=ids(scope, anchor_ids))]
    return models.Filter(must=must, must_not=None if written is None else [written_after(written)])


def written_after(written: int) -> models.Condition:
    """Anchors whose records have a later timestamp."""
    return models.FieldCondition(key=WRITTEN_KEY, range=models.Range(gt=written))


def bounded(tombstone: Tombstone) -> models.Filter:
    """The anchors that a tombstone of no single anchor concerns."""
    must: list[models.Condition] = [owned(Scope(tombstone.owner))]
    if tombstone.session is not None:
        must.append(of_session(tombstone.session))
    if tombstone.before is not None:
        must.append(said(lt=tombstone.before))
    return models.Filter(must=must, must_not=[written_after(tombstone.written)])


def neighbours(tombstone: Tombstone) -> models.Filter:
    """The anchors whose sparse vectors may hold words of those that `bounded` finds."""
    must: list[models.Condition] = [owned(Scope(tombstone.owner))]
    if tombstone.session is not None:
        must.append(of_session(tombstone.session))
    if tombstone.before is not None:
        must.append(said(lt=tombstone.before + DEPTH * LONGEST_PAUSE))
    return models.Filter(must=must)


def outdated() -> models.Filter:
    """Points whose sparse vector is missing or of an older shape."""
    older = models.FieldCondition(key=SHAPE_KEY, range=models.Range(lt=SHAPE))
    missing = models.IsEmptyCondition(is_empty=models.PayloadField(key=SHAPE_KEY))
    return models.Filter(should=[older, missing])


def exclusions(query: Query) -> list[models.Condition]:
    """What keeps anchors out of a recall; see `scoring.exclusions`."""
    oldest = query.now - timedelta(seconds=query.min_age_seconds)
    # denied twice: an index of what must be would be gone through from end to end, and that is all there is
    found: list[models.Condition] = [models.Filter(must_not=[said(lte=oldest)])]
    found.append(expired(max(query.now, datetime.now(UTC))))
    found.append(models.FieldCondition(key=SUPERSEDED_AT_KEY, range=models.DatetimeRange(lte=query.now)))
    if query.session_id is not None:
        found.append(of_session(query.session_id))
    if query.since is not None:
        found.append(said(lt=query.since))
    if query.until is not None:
        found.append(models.Filter(must_not=[said(lt=query.until)]))
    if alike := [condition for pair in query.where.items() if (condition := _holds(*pair)) is not None]:
        found.append(models.Filter(must_not=[models.Filter(must=alike)]))
    if query.ignore:
        found.append(models.HasIdCondition(has_id=ids(query.scope, query.ignore)))
    return found


def _holds(key: str, value: str | int | bool) -> models.Condition | None:
    """Anchors whose meta has that value, lists of which one item is it among them; those the exact ranking
    leaves out. None for a key that no path can name."""
    if '"' in key or "\\" in key:
        return None
    return models.FieldCondition(key=f'meta."{key}"', match=models.MatchValue(value=value))


def rounded(vector: Vector) -> list[float]:
    """A vector with as many digits as count: cosines stay the same to 1e-8, and there is half as much to
    write and to read."""
    numbers: list[float] = np.round(vector.astype(np.float64), 9).tolist()
    return numbers


def ids(scope: Scope, anchor_ids: Iterable[uuid.UUID]) -> list[models.ExtendedPointId]:
    """Point ids of anchors."""
    return [str(scope.point_id(anchor_id)) for anchor_id in anchor_ids]


def candidates(
    query: Query,
    question: Question | None,
    calibration: Calibration,
    *,
    self_score: float,
    page: int,
    points: int,
    exact: bool,
    excluded: bool = False,
) -> ScopedQuery:
    """The `page` strongest of the nearest, of those that share most words, and for a question only about a
    time of the nearest said then; with their vectors, and their cosines for scores. `points`: among about so
    many. `excluded`: among those that may not answer."""
    spread = max(1.0, 5 * query.base_level_weight)
    most_by_words = min(MOST_BY_WORDS, max(PREFETCH, points // SHARE_BY_WORDS))
    nearest: dict[str, Any] = {
        "query": rounded(query.vector),
        "limit": max(page, round(PREFETCH * spread)),
        "params": models.SearchParams(exact=exact),
    }
    prefetch = [models.Prefetch.model_construct(**nearest)]
    words: str | None = None
    if question is not None and self_score > 0:
        words = f"$score[{len(prefetch)}]"
        asked, count = sparse.question(question.weights), max(page, round(most_by_words * spread))
        prefetch.append(models.Prefetch(query=asked, using=sparse.WORDS, limit=count))
    if question is not None and question.period is not None and question.only_time:
        within = models.Filter(must=[_in_period(question.period)])
        prefetch.append(models.Prefetch.model_construct(**nearest, filter=within))
    rules = exclusions(query)
    return ScopedQuery(
        query.scope,
        must=[models.Filter(should=rules)] if excluded else (),
        must_not=() if excluded else rules,
        # the strongest by the formula, which come back with their cosines: these need no reading of vectors
        prefetch=[
            Prefetch.model_construct(
                prefetch=prefetch,
                query=_activation(query, question, calibration, words, self_score),
                limit=page,
            )
        ],
        **nearest | {"limit": page, "params": models.SearchParams(exact=True)},
        with_payload=PAYLOAD,
        with_vector=True,
    )


def strongest_of(scope: Scope, term: str) -> ScopedQuery:
    """The anchor that a term alone finds first, with its sparse vector: its score is rarity times weight."""
    return ScopedQuery(
        scope, query=sparse.question([term]), using=sparse.WORDS, limit=1, with_vector=[sparse.WORDS]
    )


def members(scope: Scope) -> ScopedQuery:
    """The ids of up to COUNTED anchors of a scope."""
    return ScopedQuery(scope, limit=COUNTED, with_payload=False)


def holders(scope: Scope, term: str) -> ScopedQuery:
    """The ids of up to COUNTED anchors of a scope that hold a term."""
    return ScopedQuery(
        scope, query=sparse.question([term]), using=sparse.WORDS, limit=COUNTED, with_payload=False
    )


def _in_period(period: Period) -> models.FieldCondition:
    return said(gte=period.start, lt=period.end)


def _activation(
    query: Query,
    question: Question | None,
    calibration: Calibration,
    words: str | None,
    self_score: float,
) -> Formula:
    """`scoring.Scorer.order` as a formula, which only chooses the candidates: that a share of words ends at 1
    and how a match reads as a similarity change nothing of which these are, and take the server time.

    exp(-λ·w·days) is exp_decay with midpoint 0.5 and scale 86 400·ln 2/(λ·w) seconds; without ageing there is
    no such scale and no term. Saliences are bounded, since one that other programs wrote as -1 would fail the
    whole query, and a great one would top it.
    """
    weight = query.base_level_weight
    cosine = "$score[0]"
    match = _bent(cosine, 0.0, *calibration.hinges)
    if words is not None:
        by_words = _times((1 - matching.MEANING_WEIGHT) / self_score, words)
        match = _sum(_times(matching.MEANING_WEIGHT, match), by_words)
    if question is not None and question.period is not None:
        bonus = _times(matching.PERIOD_WEIGHT, _in_period(question.period))
        match = _sum(bonus, _times(match, _sum(1.0, _times(-1.0, bonus))))
    factors = [match]
    if weight > 0:
        above = _bent("salience", 0.0, (LEAST_SALIENCE, 1.0), (activation.MOST_SALIENCE, -1.0))
        factors.append({"pow": {"base": _sum(LEAST_SALIENCE, above), "exponent": weight}})
        if query.decay_lambda > 0:
            factors.append(_decay(query, query.decay_lambda * weight))
    parts = [_times(*factors)]
    if question is not None and question.only_time and question.period is not None:
        parts.append(_times(1e3, _in_period(question.period)))
    defaults = {"salience": 1.0, cosine: calibration.cosine(UNSEEN_SIMILARITY)}
    if words is not None:
        defaults[words] = 0.0
    return {"formula": _sum(*parts), "defaults": defaults}


def _decay(query: Query, per_day: float) -> Formula:
    return {
        "exp_decay": {
            "x": {"datetime_key": "stored_at"},
            "target": {"datetime": query.now.isoformat()},
            "scale": activation.SECONDS_PER_DAY * math.log(2) / per_day,
            "midpoint": 0.5,
        }
    }


def _bent(value: Formula, slope: float, *bends: tuple[float, float]) -> Formula:
    """The value times `slope`, and from each bend (x, change) on change · (value - x) more. No formula has a
    min or max in Qdrant 1.19, and max(0, y) is (y + |y|) / 2."""
    constant = -sum(x * change for x, change in bends) / 2
    linear = slope + sum(change for _, change in bends) / 2
    beyond = [_times(change / 2, {"abs": _sum(value, -x)}) for x, change in bends if change]
    return _sum(constant, _times(linear, value), *beyond)


def _sum(*terms: Formula) -> Formula:
    return {"sum": list(terms)}


def _times(*factors: Formula) -> Formula:
    return {"mult": list(factors)}
