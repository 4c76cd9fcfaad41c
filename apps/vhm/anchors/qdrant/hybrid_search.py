"""The Qdrant requests of a recall by meaning and words."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any

from qdrant_client import models

from vhm.anchors.qdrant import queries as search
from vhm.anchors.qdrant import sparse
from vhm.anchors.qdrant.queries import PAYLOAD
from vhm.anchors.qdrant.requests import EXACTLY, Prefetch, Request, numbers, written
from vhm.anchors.qdrant.surroundings import Instant
from vhm.anchors.types import Calibration, Query
from vhm.memory.similarity import BLEND

NEAREST = 64
"""So many of the nearest are scored, of all and of each kind of favoured ones; a server that walks its graph
takes the longer the more there are to be."""

WORDY = 48
"""So many of those that share words, likewise."""

FRESH = 0.35
"""The age up to which an anchor is fresh: at which it has decayed to exp(-this).

What is nearest or shares most words among all is seldom what is strongest, but it is among those that are as
fresh, or as important; so these are searched by themselves as well.
"""

IMPORTANT, NOT_TOO_OLD = 1.6, 1.0
"""The salience from which it is important, and up to what age, told likewise."""

EMBEDDING = [""]
"""The unnamed vector alone, not the sparse one beside it."""


def strongest(
    query: Query,
    calibration: Calibration,
    may: models.Filter,
    kinds: Sequence[models.Filter],
    *,
    terms: Collection[str],
    most: float,
    usual_cosine: float,
    page: int,
    exact: bool,
) -> Request:
    """The `page` strongest, with their embeddings, of the nearest and of those that share words, among all
    that `may` answer and among each of some `kinds`.

    `terms` are the stems of the question and `most` is its BM25 with itself, 0 for a question without words.
    An anchor that only a search by words returned is taken to be as near as is usual; one that none by words
    did, to share none.
    """
    among = [written(one) for one in (may, *(models.Filter(must=[may, kind]) for kind in kinds))]
    vector, params = numbers(query.vector), models.SearchParams(exact=exact)
    prefetch = [
        Prefetch(query=vector, filter=which, limit=max(NEAREST, page), params=params) for which in among
    ]
    cosine = _greatest(range(len(among)))
    parts: list[Any] = [
        models.MultExpression(mult=[BLEND.meaning, search.similarity_of(calibration, cosine)])
    ]
    if most > 0:
        words = written(sparse.of_terms(terms))
        prefetch += [
            Prefetch(query=words, using=sparse.WORDS, filter=which, limit=max(WORDY, page)) for which in among
        ]
        wording = _greatest(range(len(among), 2 * len(among)))
        parts.append(models.MultExpression(mult=[(1 - BLEND.meaning) / most, wording]))
    similarity = models.SumExpression(sum=parts)
    formula = search.activation_formula(query, similarity, {"$score[0]": usual_cosine})
    return Request(prefetch=prefetch, query=formula, limit=page, with_payload=PAYLOAD, with_vector=EMBEDDING)


@functools.cache
def _greatest(prefetches: range) -> Any:
    """The greatest score that one of these gave; a formula has no max before 1.19, so (a + b + |a - b|)/2
    stands for it."""
    greatest, *others = (f"$score[{number}]" for number in prefetches)
    found: Any = greatest
    for other in others:
        apart = models.SumExpression(sum=[found, models.NegExpression(neg=other)])
        both = models.SumExpression(sum=[found, other, models.AbsExpression(abs=apart)])
        found = models.MultExpression(mult=[0.5, both])
    return found


def favoured(query: Query) -> list[models.Filter]:
    """The important that are not too old, and the fresh."""
    important = models.FieldCondition(key="salience", range=models.Range(gte=IMPORTANT))
    try:
        fresh, not_too_old = (
            search.said(gte=query.now - timedelta(days=age / query.decay_lambda))
            for age in (FRESH, NOT_TOO_OLD)
        )
    except (OverflowError, ZeroDivisionError):  # nothing ever decays
        return [models.Filter(must=[important])]
    return [models.Filter(must=[important, not_too_old]), models.Filter(must=[fresh])]


def around(query: Query, instants: Sequence[Instant], within: timedelta, limit: int) -> Request:
    """What was said within so long of each instant in its session, `limit` at most, with its cosine as its
    score."""
    spans: list[models.Condition] = [
        models.Filter(
            must=[search.of_session(session), search.said(gte=moment - within, lte=moment + within)]
        )
        for session, moment in instants
    ]
    return Request(
        query=numbers(query.vector),
        filter=models.Filter(should=spans),
        limit=limit,
        params=EXACTLY,
        with_payload=PAYLOAD,
    )


def beside(at: Instant, earlier: int, later: int) -> list[Request]:
    """What was said at an instant of a session and before it, latest first; and after it, earliest first;
    so many at most, with their embeddings."""
    session, moment = at
    back = search.said(lte=moment), models.Direction.DESC, earlier
    forth = search.said(gt=moment), models.Direction.ASC, later
    return [
        Request(
            query=models.OrderByQuery(order_by=models.OrderBy(key="stored_at", direction=direction)),
            filter=models.Filter(must=[search.of_session(session), span]),
            limit=limit,
            with_payload=PAYLOAD,
            with_vector=EMBEDDING,
        )
        for span, direction, limit in (back, forth)
    ]


def these(anchor_ids: Collection[uuid.UUID], *, payload: bool) -> Request:
    """Some anchors with their embeddings."""
    return Request(
        filter=models.Filter(must=[models.HasIdCondition(has_id=search.ids(anchor_ids))]),
        limit=len(anchor_ids),
        with_payload=PAYLOAD if payload else False,
        with_vector=EMBEDDING,
    )
