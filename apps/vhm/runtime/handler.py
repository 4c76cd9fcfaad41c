"""The seam between the runtime and a worker: records in, one outcome for each, records out.

What the runtime promises: `open` is awaited before the first record; records of one batch may come from
several partitions, in order within each; several batches may be in `handle` at once; an outcome counts
only when the broker has acknowledged every record it leads to. What a worker owes: one outcome for each
record in the order given, and the same outcome when a record comes again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

Headers = tuple[tuple[str, bytes], ...]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One Kafka record as it was consumed. `timestamp` is in milliseconds since 1970, UTC."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    value: bytes | None
    key: bytes | None = None
    headers: Headers = ()

    def header(self, name: str) -> bytes | None:
        """The first header of that name."""
        return next((value for key, value in self.headers if key == name), None)


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """One record to produce. The runtime adds `vhm-build` and passes on what `contract.headers` says."""

    topic: str
    key: bytes
    value: bytes
    headers: Headers = ()


class Reply(msgspec.Struct, frozen=True):
    """The record was handled; these records answer it (none is an answer too)."""

    records: tuple[Outgoing, ...] = ()


class Poison(msgspec.Struct, frozen=True, kw_only=True):
    """The record can never be handled: it goes to its topic's dead letters, and `records` answer it."""

    reason: str
    errors: tuple[str, ...] = ()
    records: tuple[Outgoing, ...] = ()


class UnavailableError(Exception):
    """Something the worker needs is down. Raised from `handle`, the batch is tried again for as long
    as it takes; nothing is committed and nothing dropped meanwhile. The message is one line for people:
    what is down, where, and why it looks so."""


Outcome = Reply | Poison


class Handler(Protocol):
    """What a worker is to the runtime."""

    name: str
    """Worker name: consumer group, log and metric label, key into the topic graph."""

    batch: int
    """Most records in one call of `handle`."""

    window: int
    """Most calls of `handle` at once."""

    async def open(self) -> None:
        """Load and connect. Raises UnavailableError to be called again after a pause."""
        ...

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        """One outcome for each record, in order. Raises UnavailableError to be called again with the same."""
        ...

    async def not_ready(self) -> Sequence[str]:
        """Why the worker cannot do its work now, one line each; empty when it can. Asked every second
        or so; answers within a second and never raises."""
        ...

    def details(self) -> Sequence[str]:
        """What else /health should say, one line each; no secrets. Answers at once."""
        ...

    def drain(self, seconds: float) -> None:
        """A stop has begun: finish what is in flight within `seconds`."""
        ...

    async def close(self) -> None:
        """Let go of everything. Nothing is in flight any more."""
        ...
