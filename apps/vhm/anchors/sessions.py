"""The turns of sessions in order, and the sparse vectors that follow from it.

A turn's sparse vector holds words of up to three turns before it (see `memory.session_context`), so it
depends on which turns there are, not on the order in which they came.
"""

from __future__ import annotations

import uuid
from bisect import bisect_left, insort

from vhm.anchors.payload import Content
from vhm.memory.anchor_terms import Weights, sparse_vector
from vhm.memory.session_context import Place, following, preceding

Session = tuple[str, str]
"""Owner and name of a session."""


class Sessions:
    """Turns of any number of sessions. Anchors without a session stand by themselves."""

    def __init__(self) -> None:
        self._places: dict[Session, list[Place]] = {}
        self._contents: dict[tuple[Session, uuid.UUID], Content] = {}

    def add(self, anchor_id: uuid.UUID, content: Content) -> None:
        """Take in a turn; one that is there already stays as it is."""
        session = session_of(content)
        if session is None or (session, anchor_id) in self._contents:
            return
        self._contents[session, anchor_id] = content
        insort(self._places.setdefault(session, []), (content.stored_at, anchor_id))

    def remove(self, anchor_id: uuid.UUID, content: Content) -> None:
        """Forget a turn, if it is there."""
        session = session_of(content)
        if session is None or self._contents.pop((session, anchor_id), None) is None:
            return
        places = self._places[session]
        del places[bisect_left(places, (content.stored_at, anchor_id))]

    def dependents(self, anchor_id: uuid.UUID, content: Content) -> list[uuid.UUID]:
        """The turns whose vectors hold words of this one, whether or not it is there."""
        session = session_of(content)
        places = self._places.get(session, []) if session else []
        return [other for _, other in following(places, (content.stored_at, anchor_id))]

    def vector(self, anchor_id: uuid.UUID, content: Content) -> Weights:
        """The sparse vector of an anchor among the turns that are there."""
        session = session_of(content)
        if session is None:
            return sparse_vector(content.terms())
        before = preceding(self._places.get(session, []), (content.stored_at, anchor_id))
        return sparse_vector(content.terms(), [self._contents[session, other].terms() for _, other in before])


def session_of(content: Content) -> Session | None:
    """The session an anchor was said in, among its owner's."""
    return None if content.session is None else (content.owner, content.session)
