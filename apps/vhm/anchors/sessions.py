"""The turns of sessions in order, and the sparse vectors that follow from it.

A turn's sparse vector holds words of up to three turns before it (see `memory.session_context`), so it
depends on which turns there are, not on the order in which they came.
"""

from __future__ import annotations

import uuid
from bisect import bisect_left, insort

from vhm.anchors.payload import Content, Row
from vhm.memory.anchor_terms import Weights, sparse_vector
from vhm.memory.session_context import Place, following, preceding

Session = tuple[str, str]
"""Owner and name of a session."""


class Sessions:
    """Turns of any number of sessions. Anchors without a session stand by themselves."""

    def __init__(self) -> None:
        self._places: dict[Session, list[Place]] = {}
        self._turns: dict[tuple[Session, uuid.UUID], Row] = {}

    def add(self, turn: Row) -> None:
        """Take in a turn; one that is there already stays as it is."""
        session = session_of(turn.content)
        if session is None or (session, turn.anchor_id) in self._turns:
            return
        self._turns[session, turn.anchor_id] = turn
        insort(self._places.setdefault(session, []), _place(turn))

    def remove(self, turn: Row) -> None:
        """Forget a turn, if it is there."""
        session = session_of(turn.content)
        if session is None or self._turns.pop((session, turn.anchor_id), None) is None:
            return
        places = self._places[session]
        del places[bisect_left(places, _place(turn))]

    def dependents(self, turn: Row) -> list[Row]:
        """The turns whose vectors hold words of this one, whether or not it is there."""
        session = session_of(turn.content)
        if session is None:
            return []
        return [
            self._turns[session, other] for _, other in following(self._places.get(session, []), _place(turn))
        ]

    def vector(self, turn: Row) -> Weights:
        """The sparse vector of an anchor among the turns that are there."""
        session = session_of(turn.content)
        if session is None:
            return sparse_vector(turn.content.terms())
        before = preceding(self._places.get(session, []), _place(turn))
        return sparse_vector(
            turn.content.terms(), [self._turns[session, other].content.terms() for _, other in before]
        )


def session_of(content: Content) -> Session | None:
    """The session an anchor was said in, among its owner's."""
    return None if content.session is None else (content.owner, content.session)


def _place(turn: Row) -> Place:
    return turn.content.stored_at, turn.anchor_id
