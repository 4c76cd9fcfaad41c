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
from vhm.anchors.qdrant.client import Client, PointVectors, RefusedError, ScoredPoint
from vhm.anchors.qdrant.queries import ScopedQuery
from vhm.anchors.scope import Scope, by_scope
from vhm.anchors.sessions import Session, Sessions, session_of
from vhm.memory.session_context import DEPTH, LONGEST_PAUSE

ROUNDS = 20
"""How often a vector that was written may differ again, at most; others may write the same session without
end."""

BEFORE, AFTER = DEPTH + 1, 16
"""Turns read before and after those in question. Three count; one more before them tells whether the third
shares its moment with others. More are derived after them, since a worker that was killed may have written
the vectors of turns that others, which came meanwhile, have moved away."""

REACH = DEPTH * LONGEST_PAUSE
"""No turn counts for one that was said later than this after it."""

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
    same call may be made again."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._uncertain: dict[str, Row] = {}
        """Around these a write failed. It may still be done, and late."""

    async def held(self, collection: str, anchors: Sequence[Row]) -> Held:
        """What those of the anchors' points hold that are there."""
        answers = await self._read(collection, _by_ids(anchors, vectors=[]))
        points = itertools.chain.from_iterable(answers)
        rows = {str(point.id): to_row(point.id, point.payload) for point in points}
        return {point_id: None if row is None else row.content for point_id, row in rows.items()}

    async def derive(self, collection: str, anchors: Sequence[Row]) -> Held:
        """Bring the vectors of anchors, and of the turns after them, up to date; what those of the anchors'
        points hold that are there and of their sessions."""
        rows = [msgspec.structs.replace(row, vector=None) for row in anchors]
        touched = {row.point_id: row for row in rows}
        held: Held | None = None
        written: set[str] = set()
        again = 0
        try:
            while again < ROUNDS:
                around = await self._around(collection, rows)
                if held is None:
                    held = {key: turn.row.content for key, turn in around.turns.items() if key in touched}
                changes, right = around.derived()
                # what is as it should be stays so: whoever changes its session later derives it anew
                await self._mark(collection, right)
                if not changes:
                    return held
                rows = [around.turns[key].row for key in changes]
                touched |= {row.point_id: row for row in rows}
                await self._write(collection, changes)
                again += not written.isdisjoint(changes)
                written |= changes.keys()
        except StoreUnavailableError:
            if len(self._uncertain) < UNCERTAIN_MOST:
                self._uncertain |= touched
            raise
        raise StoreUnavailableError(
            f"{self._client.address}: sessions change faster than their sparse vectors can be written"
        )

    async def derive_uncertain(self, collection: str) -> None:
        """Derive again where a write failed."""
        uncertain, self._uncertain = list(self._uncertain.values()), {}
        for start in range(0, len(uncertain), PART):
            await self.derive(collection, uncertain[start : start + PART])

    async def _around(self, collection: str, anchors: Sequence[Row]) -> Surroundings:
        """The anchors, and the turns around them that count; one request as a rule."""
        around = Surroundings()
        # the vector of an anchor without a session is as it was written, unless by older rules
        alone, vectors = [row for row in anchors if row.content.session is None], list[str]()
        spans = _spans(anchors)
        while alone or spans:
            by_ids = _by_ids(alone, vectors=vectors)
            around_spans = [query for span in spans for query in span.queries()]
            answers = iter(await self._read(collection, [*by_ids, *around_spans]))
            found = [turn for _ in by_ids for turn in _turns(next(answers))]
            around.take(found, derivable=found if vectors else ())
            alone = [] if vectors else [turn.row for turn in found if turn.shape != SHAPE]
            vectors = [sparse.WORDS]
            spans = [span.wider() for span in spans if not span.take(next(answers), next(answers), around)]
        return around

    async def _read(self, collection: str, asked: Sequence[ScopedQuery]) -> list[list[ScoredPoint]]:
        return await self._client.query(collection, asked, consistency=models.ReadConsistencyType.MAJORITY)

    async def _write(self, collection: str, changes: Mapping[str, sparse.Numbered]) -> None:
        vectors = [
            PointVectors(point_id, {sparse.WORDS: sparse.to_vector(weights)})
            for point_id, weights in changes.items()
        ]
        # where a turn vanished meanwhile it is refused, and the next reading shows that
        with contextlib.suppress(CollectionMissingError, RefusedError):
            await self._client.update_vectors(collection, vectors)

    async def _mark(self, collection: str, turns: Iterable[Turn]) -> None:
        """Note the shape of vectors that were older, now that they were read as they should be."""
        older: list[models.ExtendedPointId] = [turn.point_id for turn in turns if turn.shape != SHAPE]
        if older:
            await self._client.call(
                lambda client: client.set_payload(collection, {SHAPE_KEY: SHAPE}, points=older)
            )


class Turn(msgspec.Struct, frozen=True):
    """An anchor as it was read: the id of its point, its sparse vector, and by which rules that was made."""

    point_id: str
    row: Row
    weights: sparse.Numbered
    shape: object


class Surroundings:
    """Turns that were read, and those among them whose vectors follow from these."""

    def __init__(self) -> None:
        self.turns: dict[str, Turn] = {}
        self._derivable: set[str] = set()

    def take(self, turns: Iterable[Turn], derivable: Iterable[Turn]) -> None:
        """Add turns, and say which are derivable now."""
        self.turns |= {turn.point_id: turn for turn in turns}
        self._derivable.update(turn.point_id for turn in derivable)

    def derived(self) -> tuple[dict[str, sparse.Numbered], list[Turn]]:
        """The vectors to write, by the ids of their points; and the turns whose vectors are right."""
        sessions = Sessions()
        for turn in self.turns.values():
            sessions.add(turn.row)
        changes, right = {}, []
        for turn in map(self.turns.__getitem__, self._derivable):
            weights = sparse.numbered(sessions.vector(turn.row))
            if sparse.alike(weights, turn.weights):
                right.append(turn)
            else:
                changes[turn.point_id] = weights
        return changes, right


class Span(msgspec.Struct, frozen=True):
    """A part of a session: `count` turns in question that follow one another without a pause. `factor`: how
    many times the usual limits are read."""

    session: Session
    first: datetime
    last: datetime
    count: int = 1
    factor: int = 1

    def queries(self) -> tuple[ScopedQuery, ScopedQuery]:
        """What was said in it and before it, the latest first; and what was said after it."""
        return (
            self._query(self._until, models.Direction.DESC, gte=self.first - REACH, lte=self.last),
            self._query(self._after, models.Direction.ASC, gt=self.last, lte=self.last + REACH),
        )

    def take(
        self,
        until: Sequence[ScoredPoint],
        after: Sequence[ScoredPoint],
        around: Surroundings,
    ) -> bool:
        """Add the answers to `queries`; False where turns that count may be missing from them."""
        so_far, then = self._certain(until, self._until), self._certain(after, self._after)
        early = [turn for turn in so_far if turn.row.content.stored_at < self.first]
        if (len(until) == self._until and len(early) < DEPTH) or (
            len(after) == self._after and len(then) < DEPTH
        ):
            return False
        around.take(early, derivable=())
        around.take(turns := [*so_far[: len(so_far) - len(early)], *then], derivable=turns)
        return True

    def wider(self) -> Span:
        """The same, more of it read."""
        return msgspec.structs.replace(self, factor=self.factor * WIDER)

    @property
    def _until(self) -> int:
        # those in question are seldom alone between the first and the last of them
        return (BEFORE + 1 + WIDER * (self.count - 1)) * self.factor

    @property
    def _after(self) -> int:
        return AFTER * self.factor

    def _certain(self, points: Sequence[ScoredPoint], limit: int) -> list[Turn]:
        """The turns of an answer in its order. Where so many were read that there may be more, those of the
        last moment may not all be there, and are left out."""
        turns = [turn for turn in _turns(points) if session_of(turn.row.content) == self.session]
        if len(points) < limit or not turns:
            return turns
        last = turns[-1].row.content.stored_at
        return [turn for turn in turns if turn.row.content.stored_at != last]

    def _query(self, limit: int, direction: models.Direction, **span: datetime) -> ScopedQuery:
        owner, session_id = self.session
        order = models.OrderBy(key="stored_at", direction=direction)
        return ScopedQuery(
            Scope(owner),
            must=[queries.of_session(session_id), queries.said(**span)],
            query=models.OrderByQuery(order_by=order),
            limit=limit,
            with_payload=[*queries.PAYLOAD, SHAPE_KEY],
            with_vector=[sparse.WORDS],
        )


def _spans(anchors: Iterable[Row]) -> list[Span]:
    spans: list[Span] = []
    contents = [row.content for row in anchors]
    turns = [(session, one.stored_at) for one in contents if (session := session_of(one)) is not None]
    for session, moment in sorted(turns):
        if spans and spans[-1].session == session and moment - spans[-1].last <= LONGEST_PAUSE:
            spans[-1] = msgspec.structs.replace(spans[-1], last=moment, count=spans[-1].count + 1)
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


def _turns(points: Iterable[ScoredPoint]) -> list[Turn]:
    """The anchors among points; what other programs put there is none."""
    rows = ((to_row(point.id, point.payload), point) for point in points)
    return [
        Turn(str(point.id), row, sparse.weights(point.words()), (point.payload or {}).get(SHAPE_KEY))
        for row, point in rows
        if row is not None
    ]
