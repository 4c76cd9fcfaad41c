"""Keeps the sparse vectors of a server's anchors as if all turns of a session had come in order.

An anchor's vector holds words of up to three turns before it, so whoever writes a turn derives the vectors
around it anew: it reads the turns there, writes the vectors that differ, and reads again until none does.
Several indexers do so at once. Whoever reads last sees all that was written, and whoever was killed between a
write and the reading after it did not acknowledge its anchors, so they come again and are derived again.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec
from qdrant_client import models

from vhm.anchors.errors import CollectionMissingError, StoreUnavailableError
from vhm.anchors.payload import SHAPE, SHAPE_KEY, Content, Row, to_row
from vhm.anchors.qdrant import queries, sparse
from vhm.anchors.qdrant.client import Client, RefusedError
from vhm.anchors.qdrant.queries import ScopedQuery
from vhm.anchors.scope import Scope, by_scope
from vhm.anchors.sessions import Session, Sessions, session_of
from vhm.memory.session_context import DEPTH, LONGEST_PAUSE

ROUNDS = 20
"""How often a vector that was written may differ again, at most; others may write the same session without
end."""

BEFORE, AFTER, WITHIN = DEPTH + 1, 16, 1_000
"""Turns read before, after and among those in question. Three count; one more tells whether the third shares
its moment with others. More are read after them, since a worker that was killed may have written the vectors
of turns that others, which came meanwhile, have moved away."""

WIDER = 4
"""Where so many were not enough, so many times more."""

UNCERTAIN_MOST = 10_000
"""Anchors remembered for another derivation, at most."""

PART = 256
"""Anchors derived at once."""

Held = dict[str, Content | None]
"""What points hold, by their ids; None where one is no anchor."""


class SessionVectors:
    """The sparse vectors of one server's anchors. Everything raises StoreUnavailableError, after which the
    same call may be made again, or RefusedError."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._uncertain: dict[str, Row] = {}
        """Around these a write failed. It may still be done, and late."""

    async def held(self, collection: str, anchors: Sequence[Row]) -> Held:
        """What those of the anchors' points hold that are there."""
        answers = await self._read(collection, _by_ids(anchors, vectors=[]))
        return _held(anchors, itertools.chain.from_iterable(answers))

    async def derive(self, collection: str, anchors: Sequence[Row]) -> Held:
        """Bring the vectors of anchors, and of the turns after them, up to date; what those of the anchors'
        points hold that are there."""
        wanted, held = {row.point_id: msgspec.structs.replace(row, vector=None) for row in anchors}, None
        written: set[str] = set()
        again = 0
        try:
            while again < ROUNDS:
                points = await self._around(collection, list(wanted.values()))
                if held is None:
                    held = _held(anchors, points)
                turns = {turn.row.point_id: turn for turn in map(_turn, points) if turn is not None}
                changes = _changes(turns, wanted.values())
                if not changes:
                    await self._mark(collection, [turns[key] for key in wanted if key in turns])
                    return held
                wanted |= {key: turns[key].row for key in changes}
                await self._write(collection, changes)
                again += not written.isdisjoint(changes)
                written |= changes.keys()
        except StoreUnavailableError:
            if len(self._uncertain) < UNCERTAIN_MOST:
                self._uncertain |= wanted
            raise
        raise StoreUnavailableError(
            f"{self._client.address}: sessions change faster than their sparse vectors can be written"
        )

    async def derive_uncertain(self, collection: str) -> None:
        """Derive again where a write failed."""
        uncertain, self._uncertain = list(self._uncertain.values()), {}
        for start in range(0, len(uncertain), PART):
            await self.derive(collection, uncertain[start : start + PART])

    async def _around(self, collection: str, anchors: Sequence[Row]) -> list[models.ScoredPoint]:
        """The anchors, and the turns around them that count; one request as a rule."""
        spans, first = _spans(anchors), _by_ids(anchors, vectors=[sparse.WORDS])
        found: list[models.ScoredPoint] = []
        while first or spans:
            around = [query for span in spans for query in span.queries()]
            answers = await self._read(collection, [*first, *around])
            found += itertools.chain.from_iterable(answers)
            parts = iter(answers[len(first) :])
            triples = zip(parts, parts, parts, strict=True)
            spans = [span.wider() for span, three in zip(spans, triples, strict=True) if span.cut(*three)]
            first = []
        return found

    async def _read(self, collection: str, asked: Sequence[ScopedQuery]) -> list[list[models.ScoredPoint]]:
        return await self._client.query(collection, asked, consistency=models.ReadConsistencyType.MAJORITY)

    async def _write(self, collection: str, changes: Mapping[str, sparse.Numbered]) -> None:
        vectors = [
            models.PointVectors(id=point_id, vector={sparse.WORDS: sparse.to_vector(weights)})
            for point_id, weights in changes.items()
        ]
        # where a turn vanished meanwhile it is refused, and the next reading shows that
        with contextlib.suppress(CollectionMissingError, RefusedError):
            await self._client.call(
                lambda client: client.update_vectors(
                    collection, vectors, ordering=models.WriteOrdering.STRONG
                )
            )

    async def _mark(self, collection: str, turns: Iterable[Turn]) -> None:
        """Note the shape of vectors that were older, now that they were read as they should be."""
        older: list[models.ExtendedPointId] = [turn.row.point_id for turn in turns if turn.shape != SHAPE]
        if older:
            await self._client.call(
                lambda client: client.set_payload(collection, {SHAPE_KEY: SHAPE}, points=older)
            )


class Turn(msgspec.Struct, frozen=True):
    """An anchor as it was read: its sparse vector, and by which rules it was made."""

    row: Row
    weights: sparse.Numbered
    shape: object


class Span(msgspec.Struct, frozen=True):
    """A part of a session: some turns in question that follow one another without a pause. `factor`: how
    many times the usual limits are read."""

    session: Session
    first: datetime
    last: datetime
    factor: int = 1

    def queries(self) -> tuple[ScopedQuery, ScopedQuery, ScopedQuery]:
        """What was said before it, after it and in it."""
        return (
            self._query(BEFORE, models.Direction.DESC, lt=self.first),
            self._query(AFTER, models.Direction.ASC, gt=self.last),
            self._query(WITHIN, None, gte=self.first, lte=self.last),
        )

    def cut(self, *parts: Sequence[models.ScoredPoint]) -> bool:
        """Whether turns that count may be missing from the answers to `queries`."""
        before, after, within = parts
        return (
            _cut(before, BEFORE * self.factor)
            or _cut(after, AFTER * self.factor)
            or len(within) == WITHIN * self.factor
        )

    def wider(self) -> Span:
        """The same, more of it read."""
        return msgspec.structs.replace(self, factor=self.factor * WIDER)

    def _query(self, limit: int, direction: models.Direction | None, **span: datetime) -> ScopedQuery:
        owner, session_id = self.session
        order = models.OrderBy(key="stored_at", direction=direction)
        return ScopedQuery(
            Scope(owner),
            must=[queries.of_session(session_id), queries.said(**span)],
            query=models.OrderByQuery(order_by=order) if direction else None,
            limit=limit * self.factor,
            with_payload=[*queries.PAYLOAD, SHAPE_KEY],
            with_vector=[sparse.WORDS],
        )


def _cut(points: Sequence[models.ScoredPoint], limit: int) -> bool:
    """Of turns in the order of their moments so many were read that there may be more; those of the last
    moment may not all be there. Whether fewer than count are certain."""
    moments = [row.content.stored_at for point in points if (row := to_row(point.id, point.payload))]
    return len(points) == limit and sum(moment != moments[-1] for moment in moments) < DEPTH


def _spans(anchors: Iterable[Row]) -> list[Span]:
    spans: list[Span] = []
    contents = [row.content for row in anchors]
    turns = [(session, one.stored_at) for one in contents if (session := session_of(one)) is not None]
    for session, moment in sorted(turns):
        if spans and spans[-1].session == session and moment - spans[-1].last <= LONGEST_PAUSE:
            spans[-1] = msgspec.structs.replace(spans[-1], last=moment)
        else:
            spans.append(Span(session, moment, moment))
    return spans


def _by_ids(anchors: Iterable[Row], *, vectors: list[str]) -> list[ScopedQuery]:
    """Anchors by their ids, a query an owner, with some of their vectors."""
    scopes = by_scope((row.content.owner, row.anchor_id) for row in anchors)
    return [
        ScopedQuery(
            scope,
            must=[models.HasIdCondition(has_id=queries.ids(scope, anchor_ids))],
            limit=len(anchor_ids),
            with_payload=[*queries.PAYLOAD, SHAPE_KEY],
            with_vector=vectors or False,
        )
        for scope, anchor_ids in scopes.items()
    ]


def _held(anchors: Iterable[Row], points: Iterable[models.ScoredPoint]) -> Held:
    ids = {row.point_id for row in anchors}
    rows = {str(point.id): to_row(point.id, point.payload) for point in points if str(point.id) in ids}
    return {point_id: None if row is None else row.content for point_id, row in rows.items()}


def _turn(point: models.ScoredPoint) -> Turn | None:
    row, payload = to_row(point.id, point.payload), point.payload or {}
    return None if row is None else Turn(row, sparse.from_vector(point.vector), payload.get(SHAPE_KEY))


def _changes(turns: Mapping[str, Turn], anchors: Iterable[Row]) -> dict[str, sparse.Numbered]:
    """The vectors that are not as they should be, by the ids of their points."""
    sessions = Sessions()
    for turn in turns.values():
        sessions.add(turn.row)
    wanted = dict.fromkeys(
        row.point_id for anchor in anchors for row in (anchor, *sessions.dependents(anchor))
    )
    changes = {}
    for turn in (turns[point_id] for point_id in wanted if point_id in turns):  # others vanished
        weights = sparse.numbered(sessions.vector(turn.row))
        if not sparse.alike(weights, turn.weights):
            changes[turn.row.point_id] = weights
    return changes
