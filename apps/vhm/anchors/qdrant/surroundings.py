"""Who was said just before and just after whom in a session, as far as it was asked."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby, pairwise

import msgspec

from vhm.memory.similarity import NEIGHBOUR_SECONDS

NEAR = timedelta(seconds=NEIGHBOUR_SECONDS)

EARLIER, LATER = 4, 3
"""Anchors asked for from an instant back (its own first), and from there on: enough to know who is around
those that are around it, as long as no two were said in the same instant."""

MORE, TIMES = 6, 3
"""Where they do not suffice, so many times more are asked for the next time; the last time, 144 and 108 of
an instant have to do."""

Instant = tuple[str, datetime]
"""A session and a moment of it."""

Said = tuple[datetime, tuple[uuid.UUID, ...]]
"""A moment and the turns of it."""


class Turn(msgspec.Struct, frozen=True):
    """An anchor of a session."""

    session: str
    moment: datetime
    anchor_id: uuid.UUID


class Surroundings:
    """What was said just before an instant, and just after it, by instant."""

    def __init__(self) -> None:
        self._looked_around: set[Instant] = set()
        self._asked: Counter[Instant] = Counter()
        self._before: dict[Instant, tuple[uuid.UUID, ...]] = {}
        self._after: dict[Instant, tuple[uuid.UUID, ...]] = {}

    def open(self, at: Instant | None) -> bool:
        """Whether there may be neighbours that are not known of; None has none."""
        return at is not None and not (at in self._before and at in self._after)

    def looked_around(self, at: Instant) -> bool:
        """Whether what was said within a while of it was asked for."""
        return at in self._looked_around

    def around(self, at: Instant) -> tuple[uuid.UUID, ...]:
        """The neighbours that are known of."""
        return self._before.get(at, ()) + self._after.get(at, ())

    def look_around(
        self, instants: Sequence[Instant], within: timedelta, turns: Sequence[Turn], *, whole: bool
    ) -> None:
        """The turns within so long of each of the instants, all of them if `whole`."""
        self._looked_around.update(instants)
        if not whole:
            return
        of_session: dict[str, list[Turn]] = {}
        for turn in turns:
            of_session.setdefault(turn.session, []).append(turn)
        for session, moment in instants:
            stretch = [t for t in of_session.get(session, ()) if abs(t.moment - moment) <= within]
            self._learn(session, _together(stretch))
            if within >= NEAR:
                self._before.setdefault((session, moment), ())
                self._after.setdefault((session, moment), ())

    def limits(self, at: Instant) -> tuple[int, int]:
        """How many anchors to ask for from an instant back and from there on."""
        more = MORE ** self._asked[at]
        return EARLIER * more, LATER * more

    def learn(self, at: Instant, turns: Sequence[Turn], *, begins: bool, ends: bool) -> None:
        """The turns of the instant, as many before it and after it as the `limits`, and whether the session
        begins and ends with them."""
        session, moment = at
        self._asked[at] += 1
        said = _together(turns)
        # where the session goes on, the outermost instant may be but a part
        first, end = 0 if begins else 1, len(said) if ends else len(said) - 1
        self._learn(session, said, first, end)
        if said and begins:
            self._before[session, said[0][0]] = ()
        if said and ends:
            self._after[session, said[-1][0]] = ()
        if self._asked[at] == TIMES:
            earlier = [one for one in said if one[0] < moment]
            later = [one for one in said if one[0] > moment]
            self._before.setdefault(at, _near(earlier[-1], moment) if earlier else ())
            self._after.setdefault(at, _near(later[0], moment) if later else ())

    def _learn(self, session: str, said: Sequence[Said], first: int = 0, end: int | None = None) -> None:
        """Who is around whom in a stretch of a session, which is known in full from `first` to `end`."""
        full = range(first, len(said) if end is None else end)
        for place, (one, other) in enumerate(pairwise(said)):
            if place in full:
                self._before[session, other[0]] = _near(one, other[0])
            if place + 1 in full:
                self._after[session, one[0]] = _near(other, one[0])


def _together(turns: Sequence[Turn]) -> list[Said]:
    ordered = sorted(turns, key=lambda turn: turn.moment)
    return [
        (moment, tuple(turn.anchor_id for turn in together))
        for moment, together in groupby(ordered, key=lambda turn: turn.moment)
    ]


def _near(said: Said, moment: datetime) -> tuple[uuid.UUID, ...]:
    """Turns further apart are no neighbours, though of one session."""
    return said[1] if abs(said[0] - moment) <= NEAR else ()
