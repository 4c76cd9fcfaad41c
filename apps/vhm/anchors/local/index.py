"""One owner's anchors in memory, as columns: a recall is a few numpy operations over all of them."""

from __future__ import annotations

import itertools
import math
import time
import uuid
from collections.abc import Iterable, Sequence, Set

import msgspec
import numpy as np

from vhm.anchors import scoring
from vhm.anchors.lifecycle import expired
from vhm.anchors.listing import Listing
from vhm.anchors.payload import Content, Row
from vhm.anchors.scoring import MOMENT, Columns, Flags, Floats, Scorer
from vhm.anchors.sessions import Sessions
from vhm.anchors.types import Calibration, Query, Ranking
from vhm.memory.inverted_index import InvertedIndex


class Index:
    """Anchors in the order they came, but for those that took a removed one's place; row i of every column is
    the same anchor. With `hybrid` their words are indexed as well."""

    def __init__(self, size: int, *, hybrid: bool) -> None:
        self._hybrid = hybrid
        self._rows: dict[uuid.UUID, int] = {}
        self._anchors: list[Row] = []
        self._vectors = np.empty((0, size), dtype=np.float32)
        self._numbers = np.empty((5, 0))
        self._sessions = Sessions()
        self._words = InvertedIndex()

    def __len__(self) -> int:
        return len(self._anchors)

    def content(self, anchor_id: uuid.UUID) -> Content | None:
        """What the anchor of that id holds, if it is there."""
        row = self._rows.get(anchor_id)
        return None if row is None else self._anchors[row].content

    def extend(self, anchors: Sequence[Row]) -> None:
        """Add anchors whose ids are new, with embeddings of unit length."""
        start = len(self)
        self._reserve(start + len(anchors))
        for row, anchor in enumerate(anchors, start):
            self._vectors[row] = anchor.vector
            self._numbers[:, row] = scoring.numbers_of(anchor.content)
            self._anchors.append(msgspec.structs.replace(anchor, vector=None))
            self._rows[anchor.anchor_id] = row
        if self._hybrid:
            self._index_words(self._anchors[start:])

    def remove(self, anchor_ids: Set[uuid.UUID]) -> None:
        """Take anchors out. The last ones move into their rows."""
        rows = sorted(row for one in anchor_ids if (row := self._rows.get(one)) is not None)
        gone = [self._anchors[row] for row in rows]
        for anchor in gone:
            self._sessions.remove(anchor)
        for row in reversed(rows):
            del self._rows[self._anchors[row].anchor_id]
            self._words.remove(row)
            last = self._anchors.pop()
            if row < len(self):
                self._anchors[row], self._rows[last.anchor_id] = last, row
                self._vectors[row] = self._vectors[len(self)]
                self._numbers[:, row] = self._numbers[:, len(self)]
                self._words.move(len(self), row)
        self._put_words(turn for anchor in gone for turn in self._sessions.dependents(anchor))

    def note(self, anchor: Row) -> None:
        """Take over what an anchor says of when it was written and by what it is superseded, if it is
        there."""
        row = self._rows.get(anchor.anchor_id)
        if row is not None:
            self._anchors[row] = msgspec.structs.replace(anchor, vector=None)
            self._numbers[:, row] = scoring.numbers_of(anchor.content)

    def page(self, listing: Listing) -> list[Row]:
        """See `AnchorReader.page`."""
        moments, now, cursor = self._columns.numbers[MOMENT], time.time(), listing.cursor
        last = math.inf if cursor is None else cursor.stored_at.timestamp()
        found: list[int] = []
        # an id of a point takes a hash to make, so only those of one moment are compared by it
        for moment, rows in itertools.groupby(np.argsort(-moments).tolist(), key=moments.__getitem__):
            if moment > last:
                continue
            listed = [row for row in rows if _is_listed(self._anchors[row].content, listing, now)]
            ids = sorted((self._anchors[row].point_id, row) for row in listed)
            after = "" if cursor is None or moment < last else cursor.point_id
            found += [row for point_id, row in ids if point_id > after]
            if len(found) >= listing.limit:
                break
        return [self._row(row) for row in found[: listing.limit]]

    def get(self, anchor_id: uuid.UUID) -> Row | None:
        """The anchor of that id, if it is there and has not expired."""
        row = self._rows.get(anchor_id)
        return None if row is None or expired(self._anchors[row].content, time.time()) else self._row(row)

    def recall(self, query: Query, calibration: Calibration) -> Ranking:
        """The exact answer."""
        scorer, columns = Scorer(query, calibration, hybrid=self._hybrid), self._columns
        # not `@`: BLAS hands so little work to threads that wait for one another, 0.7 ms against 25 ms at
        # 10 000 anchors on two busy cores
        cosines = np.vecdot(self._vectors[: len(self)], query.vector).astype(np.float64)
        sparse = self._sparse_scores(scorer)
        scores = scorer.scores(cosines, sparse, columns)
        may = scoring.eligible(scoring.exclusions(query, columns))
        strength = scorer.order(scores)
        page = scorer.page()
        while True:
            rows = _strongest(np.where(may, strength, -np.inf), cosines, page)
            more = len(rows) == page
            # the floor and what is far weaker depend on the best of all, whatever their age
            best = [row for column in (scores.matches, cosines) for row in _greatest(column, may)]
            excluded = _strongest(np.where(may, -np.inf, strength), cosines, query.explain)
            rows = list(dict.fromkeys([*rows, *best, *excluded]))
            ranking = scorer.rank(
                [self._anchors[row] for row in rows],
                cosines[rows],
                sparse[rows],
                self._vectors[rows].__getitem__,
                memories=len(self),
                more=more,
            )
            if ranking.exhausted:
                return ranking
            page *= scoring.WIDER

    @property
    def _columns(self) -> Columns:
        return Columns(self._anchors, self._numbers[:, : len(self)], self._rows)

    def _sparse_scores(self, scorer: Scorer) -> Floats:
        if scorer.question is None:
            return np.zeros(len(self))
        scorer.self_score = scorer.question.self_score(self._words.idf)
        return self._words.scores(scorer.question.weights, len(self))

    def _index_words(self, anchors: Sequence[Row]) -> None:
        """Take in the words of new anchors, and anew those of the turns that come after them."""
        for anchor in anchors:
            self._sessions.add(anchor)
        after = (turn for anchor in anchors for turn in self._sessions.dependents(anchor))
        self._put_words(itertools.chain(anchors, after))

    def _put_words(self, anchors: Iterable[Row]) -> None:
        for row in dict.fromkeys(self._rows[anchor.anchor_id] for anchor in anchors):
            self._words.put(row, self._sessions.vector(self._anchors[row]))

    def _row(self, row: int) -> Row:
        return msgspec.structs.replace(self._anchors[row], vector=self._vectors[row])

    def _reserve(self, rows: int) -> None:
        held, size = self._vectors.shape
        if rows <= held:
            return
        room = max(1024, rows + rows // 2)
        vectors, numbers = np.empty((room, size), dtype=np.float32), np.empty((len(self._numbers), room))
        vectors[:held], numbers[:, :held] = self._vectors, self._numbers
        self._vectors, self._numbers = vectors, numbers


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
