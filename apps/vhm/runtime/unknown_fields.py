"""Fields of incoming records that no worker knows: counted, and named in a log line once a minute."""

from __future__ import annotations

import time
from collections.abc import Sequence

from vhm.runtime.context import WorkerContext

LINE_EVERY_SECONDS = 60.0


class UnknownFields:
    """Counts them, and logs one line a minute for each topic."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._logged: dict[str, float] = {}

    def note(self, topic: str, names: Sequence[str]) -> None:
        """A record of `topic` had these fields."""
        self._context.metrics.unknown_fields(topic)
        now = time.monotonic()
        if now - self._logged.get(topic, -LINE_EVERY_SECONDS) >= LINE_EVERY_SECONDS:
            self._logged[topic] = now
            self._context.log.warning(
                "unknown fields are ignored",
                topic=topic,
                fields=list(names),
                metric="vhm_unknown_fields_total",
            )
