"""What recalls by meaning and words learn of a server's collection, for those after them."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from statistics import median

from qdrant_client import models

from vhm.anchors.qdrant import hybrid_search
from vhm.anchors.qdrant.surroundings import NEAR
from vhm.anchors.types import Query

FEW = 0.4
"""The share of all anchors up to which the fresh, or the important, are; more would be compared twice."""

KEPT_SECONDS = 30.0
"""Counted again after so long."""

STEADY = 1_000
"""Anchors met after which one counts for a thousandth."""

WINDOW = timedelta(minutes=1)
"""Before any neighbours were met."""

GAPS = 64
"""Gaps between neighbours remembered; nine in ten of them are within the window. Where most anchors have no
neighbours, all of the time is looked at in which they could be."""

Count = Callable[[models.Filter], Awaitable[int]]


class Experience:
    """Of one collection and one model."""

    def __init__(self) -> None:
        self.usual_cosine = 0.0
        """How near an anchor is to a question that it has nothing to do with."""
        self.window = WINDOW
        """What was said within this of an instant holds, as a rule, what was said just before it and just
        after."""
        self._gaps: deque[timedelta | None] = deque(maxlen=GAPS)
        self._few: dict[float, list[bool]] = {}
        self._since = -math.inf

    def met(self, cosines: Sequence[float]) -> None:
        """Anchors that a recall came across for another reason than their meaning."""
        if cosines:
            weight = len(cosines) / (len(cosines) + STEADY)
            self.usual_cosine += weight * (median(cosines) - self.usual_cosine)

    def apart(self, gaps: Sequence[timedelta | None]) -> None:
        """How far from some instants the further of their neighbours was said; None for one without any."""
        self._gaps.extend(gaps)
        near = sorted(gap for gap in self._gaps if gap is not None)
        if len(near) * 2 >= len(self._gaps) > 0:
            self.window = near[len(near) * 9 // 10]
        elif self._gaps:
            self.window = NEAR

    async def favoured(self, query: Query, count: Count) -> list[models.Filter]:
        """The fresh and the important, where they are few. `count` says how many points, more or less,
        meet conditions."""
        if time.monotonic() - self._since > KEPT_SECONDS:
            self._few, self._since = {}, time.monotonic()
        kinds = hybrid_search.favoured(query)
        if query.decay_lambda not in self._few:
            few = FEW * await count(models.Filter())
            self._few[query.decay_lambda] = [await count(kind) <= few for kind in kinds]
        counted = self._few[query.decay_lambda]
        return [kind for kind, few in zip(kinds, counted, strict=True) if few]
