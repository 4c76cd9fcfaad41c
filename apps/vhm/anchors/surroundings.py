"""Who was said just before and just after whom in a session, as far as it was asked."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby

import msgspec

from vhm.memory.hybrid import NEIGHBOUR_SECONDS

NEAR = timedelta(seconds=NEIGHBOUR_SECONDS)

EARLIER, LATER = 4, 3
"""Anchors asked for from an instant back (its own first), and from there on: enough to know who is around
those that are around it, as long as no two were said in the same instant."""

MORE, TIMES = 6, 3
"""Where they do not suffice, so many times more are asked for the next time; the last time, 144 and 108 of
an instant have to do."""

Instant = tuple[str, datetime]
"""A session and a moment of it."""


class Turn(msgspec.Struct, frozen=True):
    """An anchor of a session."""

    moment: datetime
    anchor_id: uuid.UUID


class Surroundings:
    """What was said just before an instant, and just after it, by instant."""

    def __init__(self) -> None:
        self._asked: Counter[Instant] = Counter()
        self._before: dict[Instant, tuple[uuid.UUID, ...]] = {}
        self._after: dict[Instant, tuple[uuid.UUID, ...]] = {}

    def limits(self, at: Instant) -> tuple[int, int] | None:
        """How many anchors to ask for from an instant back and from there on; None where both sides are
        known, as well as they will ever be."""
        if at in self._before and at in self._after:
            return None
        more = MORE ** self._asked[at]
        return EARLIER * more, LATER * more

    def around(self, at: Instant) -> tuple[uuid.UUID, ...]:
        """The neighbours that are known of."""
        return self._before.get(at, ()) + self._after.get(at, ())

    def learn(self, at: Instant, earlier: Sequence[Turn], later: Sequence[Turn]) -> None:
        """The turns of the instant and before it, latest first, and those after it, earliest first; as many
        as the `limits` unless the session has no more."""
        most = self.limits(at) or (0, 0)
        session, _ = at
        self._asked[at] += 1
        last = self._asked[at] == TIMES
        turns = sorted([*earlier, *later], key=lambda turn: turn.moment)
        said = [
            (moment, tuple(turn.anchor_id for turn in together))
            for moment, together in groupby(turns, key=lambda turn: turn.moment)
        ]
        # where the lists end before the session does, the outermost instant may be but a part
        first = 0 if len(earlier) < most[0] else 1
        end = len(said) - (0 if len(later) < most[1] else 1)
        for place, (moment, _) in enumerate(said):
            one = (session, moment)
            if place > first or (place and last and one == at):
                self._before[one] = _near(said[place - 1], moment)
            elif not first and not place:
                self._before[one] = ()
            if place + 1 < end or (place + 1 < len(said) and last and one == at):
                self._after[one] = _near(said[place + 1], moment)
            elif end == len(said) and place + 1 == end:
                self._after[one] = ()
        if last:
            self._before.setdefault(at, ())
            self._after.setdefault(at, ())


def _near(said: tuple[datetime, tuple[uuid.UUID, ...]], moment: datetime) -> tuple[uuid.UUID, ...]:
    """Turns further apart are no neighbours, though of one session."""
    return said[1] if abs(said[0] - moment) <= NEAR else ()
