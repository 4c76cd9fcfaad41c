"""One owner's anchors in memory, as columns: a recall is a few numpy operations over all of them."""

from __future__ import annotations

import itertools
import math
import time
import uuid
from collections.abc import Sequence, Set

import numpy as np

from vhm.anchors import scoring
from vhm.anchors.lifecycle import expired
from vhm.anchors.listing import Listing
from vhm.anchors.payload import Content, Row
from vhm.anchors.scoring import Flags, Floats, Scorer
from vhm.anchors.sessions import Sessions
from vhm.anchors.types import Calibration, Query, Ranking
from vhm.contract.messages import Where
from vhm.memory.inverted_index import InvertedIndex

NO_SESSION = -1


class Index:
    """Anchors in the order they came, but for those that took a removed one's place; row i of every column is
    the same anchor. With `hybrid` their words are indexed as well."""

    def __init__(self, size: int, *, hybrid: bool) -> None:
        self._hybrid = hybrid
        self._rows: dict[uuid.UUID, int] = {}
        self._ids: list[uuid.UUID] = []
        self._contents: list[Content] = []
        self._vectors = np.empty((0, size), dtype=np.float32)
        self._moments = np.empty(0, dtype=np.float64)
        self._saliences = np.empty(0, dtype=np.float64)
        self._superseded = np.empty(0, dtype=np.float64)
        self._expiring = np.empty(0, dtype=np.float64)
        self._session = np.empty(0, dtype=np.int32)
        self._session_numbers: dict[str, int] = {}
        self._sessions = Sessions()
        self._words = InvertedIndex()

    def __len__(self) -> int:
        return len(self._ids)

    def content(self, anchor_id: uuid.UUID) -> Content | None:
        """What the anchor of that id holds, if it is there."""
        row = self._rows.get(anchor_id)
        return None if row is None else self._contents[row]

    def extend(self, anchors: Sequence[Row]) -> None:
        """Add anchors whose ids are new, with embeddings of unit length."""
        start, end = len(self), len(self) + len(anchors)
        self._reserve(end)
        for row, anchor in enumerate(anchors, start):
            content, session = anchor.content, anchor.content.session
            self._vectors[row] = anchor.vector
            self._moments[row] = content.stored_at.timestamp()
            self._saliences[row] = content.salience
            self._superseded[row] = scoring.instant(content.superseded_at)
            self._expiring[row] = scoring.instant(content.expires_at)
            self._session[row] = (
                NO_SESSION
                if session is None
                else self._session_numbers.setdefault(session, len(self._session_numbers))
            )
            self._ids.append(anchor.anchor_id)
            self._contents.append(content)
            self._rows[anchor.anchor_id] = row
        if self._hybrid:
            self._index_words(range(start, end))

    def remove(self, anchor_ids: Set[uuid.UUID]) -> None:
        """Take anchors out. The last ones move into their rows."""
        gone = {row: self._contents[row] for one in anchor_ids if (row := self._rows.get(one)) is not None}
        dependents: dict[uuid.UUID, None] = {}
        if self._hybrid:
            for row, content in gone.items():
                self._sessions.remove(self._ids[row], content)
            for row, content in gone.items():
                dependents |= dict.fromkeys(self._sessions.dependents(self._ids[row], content))
        for row in sorted(gone, reverse=True):
            del self._rows[self._ids[row]]
            self._words.remove(row)
            if row != (last := len(self) - 1):
                self._move(last, row)
            self._ids.pop()
            self._contents.pop()
        for anchor_id in dependents:
            row = self._rows[anchor_id]
            self._words.put(row, self._sessions.vector(anchor_id, self._contents[row]))

    def note(self, anchor_id: uuid.UUID, content: Content) -> None:
        """Take over what an anchor says of when it was written and by what it is superseded."""
        row = self._rows[anchor_id]
        self._contents[row] = content
        self._superseded[row] = scoring.instant(content.superseded_at)

    def page(self, listing: Listing) -> list[Row]:
        """See `AnchorReader.page`."""
        moments, now, cursor = self.moments, time.time(), listing.cursor
        last = math.inf if cursor is None else cursor.stored_at.timestamp()
        found: list[int] = []
        # an id of a point takes a hash to make, so only those of one moment are compared by it
        for moment, rows in itertools.groupby(np.argsort(-moments).tolist(), key=moments.__getitem__):
            if moment > last:
                continue
            listed = [row for row in rows if _is_listed(self._contents[row], listing, now)]
            ids = sorted((str(listing.scope.point_id(self._ids[row])), row) for row in listed)
            after = "" if cursor is None or moment < last else cursor.point_id
            found += [row for point_id, row in ids if point_id > after]
            if len(found) >= listing.limit:
                break
        return [self._row(row) for row in found[: listing.limit]]

    def get(self, anchor_id: uuid.UUID) -> Row | None:
        """The anchor of that id, if it is there and has not expired."""
        row = self._rows.get(anchor_id)
        return None if row is None or expired(self._contents[row], time.time()) else self._row(row)

    def recall(self, query: Query, calibration: Calibration) -> Ranking:
        """The exact answer."""
        scorer = Scorer(query, calibration, hybrid=self._hybrid)
        # not `@`: BLAS hands so little work to threads that wait for one another, 0.7 ms against 25 ms at
        # 10 000 anchors on two busy cores
        cosines = np.vecdot(self._vectors[: len(self)], query.vector).astype(np.float64)
        sparse = self._sparse_scores(scorer)
        scores = scorer.scores(cosines, sparse, self.moments, self._saliences[: len(self)])
        may = scoring.eligible(scoring.exclusions(query, self))
        strength = scorer.order(scores)
        page = scorer.page()
        while True:
            rows = _strongest(np.where(may, strength, -np.inf), cosines, page)
            more = len(rows) == page
            # the floor and what is far weaker depend on the best of all, whatever their age
            best = [row for column in (scores.matches, cosines) for row in _greatest(column, may)]
            excluded = _strongest(np.where(may, -np.inf, strength), cosines, query.explain)
            rows = list(dict.fromkeys([*rows, *best, *excluded]))
            candidates = [self._row(row) for row in rows]
            ranking = scorer.rank(candidates, sparse[rows], memories=len(self), more=more)
            if ranking.exhausted:
                return ranking
            page *= scoring.WIDER

    @property
    def moments(self) -> Floats:
        """See `scoring.Columns`."""
        return self._moments[: len(self)]

    @property
    def superseded(self) -> Floats:
        """See `scoring.Columns`."""
        return self._superseded[: len(self)]

    @property
    def expiring(self) -> Floats:
        """See `scoring.Columns`."""
        return self._expiring[: len(self)]

    def of_session(self, session_id: str) -> Flags:
        """See `scoring.Columns`."""
        number = self._session_numbers.get(session_id)
        if number is None:
            return np.zeros(len(self), dtype=bool)
        which: Flags = self._session[: len(self)] == number
        return which

    def among(self, anchor_ids: Set[uuid.UUID]) -> Flags:
        """See `scoring.Columns`."""
        which = np.zeros(len(self), dtype=bool)
        which[[row for one in anchor_ids if (row := self._rows.get(one)) is not None]] = True
        return which

    def matching(self, where: Where) -> Flags:
        """See `scoring.Columns`."""
        return np.fromiter((content.matches(where) for content in self._contents), bool, len(self))

    def _sparse_scores(self, scorer: Scorer) -> Floats:
        if scorer.question is None:
            return np.zeros(len(self))
        scorer.self_score = scorer.question.self_score(self._words.idf)
        return self._words.scores(scorer.question.weights, len(self))

    def _index_words(self, rows: range) -> None:
        """Take in the words of new rows, and anew those of the turns that come after them."""
        changed = dict.fromkeys(rows)
        for row in rows:
            self._sessions.add(self._ids[row], self._contents[row])
        for row in rows:
            dependents = self._sessions.dependents(self._ids[row], self._contents[row])
            changed |= dict.fromkeys(self._rows[anchor_id] for anchor_id in dependents)
        for row in changed:
            self._words.put(row, self._sessions.vector(self._ids[row], self._contents[row]))

    def _move(self, row: int, to: int) -> None:
        for column in (
            self._vectors,
            self._moments,
            self._saliences,
            self._superseded,
            self._expiring,
            self._session,
        ):
            column[to] = column[row]
        self._ids[to], self._contents[to] = self._ids[row], self._contents[row]
        self._rows[self._ids[to]] = to
        self._words.move(row, to)

    def _row(self, row: int) -> Row:
        return Row(self._ids[row], self._contents[row], self._vectors[row])

    def _reserve(self, rows: int) -> None:
        if rows <= len(self._moments):
            return
        room = max(1024, rows + rows // 2)
        self._vectors = _grown(self._vectors, room)
        self._moments = _grown(self._moments, room)
        self._saliences = _grown(self._saliences, room)
        self._superseded = _grown(self._superseded, room)
        self._expiring = _grown(self._expiring, room)
        self._session = _grown(self._session, room)


def _is_listed(content: Content, listing: Listing, now: float) -> bool:
    return (
        not expired(content, now)
        and (listing.since is None or content.stored_at >= listing.since)
        and (listing.until is None or content.stored_at < listing.until)
        and (not listing.where or content.matches(listing.where))
        and listing.text in content.text
    )


def _strongest(strength: Floats, cosines: Floats, count: int) -> list[int]:
    """Rows of the `count` highest, of equals those nearest; those that are -inf are left out."""
    if not count:
        return []
    if len(strength) <= count:
        return np.flatnonzero(strength > -np.inf).tolist()
    least = np.partition(strength, -count)[-count]
    above = np.flatnonzero(strength > least)
    level = np.flatnonzero(strength == least) if least > -np.inf else above[:0]
    spare = count - len(above)
    if len(level) > spare:
        level = level[np.argpartition(cosines[level], -spare)[-spare:]]
    return [*above.tolist(), *level.tolist()]


def _greatest(column: Floats, may: Flags) -> list[int]:
    """The row of the greatest value among those that may answer."""
    if not may.any():
        return []
    return [int(np.argmax(np.where(may, column, -np.inf)))]


def _grown(column: np.ndarray, rows: int) -> np.ndarray:
    grown = np.empty((rows, *column.shape[1:]), dtype=column.dtype)
    grown[: len(column)] = column
    return grown
