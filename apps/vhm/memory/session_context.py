"""Turns that count for one another in a session: the three just before a turn, each within the hour of the
next.

Turns are in the order of (stored_at, anchor_id). The vector of a turn so depends on up to three others, and
those that a turn changes when it comes, changes or goes are the up to three after it.
"""

from __future__ import annotations

import uuid
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta

DEPTH = 3
"""Turns before one that count."""

LONGEST_PAUSE = timedelta(hours=1)
"""Turns further apart than this belong to different talks, though of one session."""

Place = tuple[datetime, uuid.UUID]
"""Order of turns in a session: when it was said, then its id."""


def preceding(session: Sequence[Place], place: Place) -> list[Place]:
    """The turns of a session (sorted) that count for the one at `place`, the nearest first. Whether that
    one is in the list makes no difference."""
    before = session[: bisect_left(session, place)]
    return _chain(place, before[: -DEPTH - 1 : -1])


def following(session: Sequence[Place], place: Place) -> list[Place]:
    """The turns of a session (sorted) for which the one at `place` counts, the nearest first. Whether that
    one is in the list makes no difference, so this is also what changes when it goes."""
    after = bisect_right(session, place)
    return _chain(place, session[after : after + DEPTH])


def _chain(place: Place, others: Sequence[Place]) -> list[Place]:
    """The turns up to the first that is more than a pause away from the one before it."""
    found: list[Place] = []
    for other in others:
        if abs(other[0] - (found[-1] if found else place)[0]) > LONGEST_PAUSE:
            break
        found.append(other)
    return found
