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
from confluent_kafka import Message

Headers = tuple[tuple[str, bytes], ...]


class Record(msgspec.Struct, frozen=True, gc=False):
    """One Kafka record as it was consumed. `timestamp` is in milliseconds since 1970, UTC; `topic` is Kafka's
    name, which begins with this install's `prefix`."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    value: bytes | None
    key: bytes | None = None
    headers: Headers = ()
    prefix: str = ""

    @classmethod
    def from_message(cls, message: Message, prefix: str = "") -> Record | None:
        """The record in a message of confluent-kafka; None when the message is an event of the client."""
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        if topic is None or partition is None or offset is None:
            return None
        headers = headers_of(message) if message.headers() else ()
        timestamp = message.timestamp()[1]
        return cls(topic, partition, offset, timestamp, message.value(), message.key(), headers, prefix)

    @property
    def logical_topic(self) -> str:
        """The topic as `contract.topics` names it."""
        return self.topic.removeprefix(self.prefix)

    def header(self, name: str) -> bytes | None:
        """The first header of that name."""
        return next((value for key, value in self.headers if key == name), None)


def headers_of(message: Message) -> Headers:
    """A message's headers, in order; a header without a value gets an empty one."""
    pairs = message.headers()
    if not pairs:
        return ()
    items = pairs.items() if isinstance(pairs, dict) else pairs
    return tuple((name, value.encode() if isinstance(value, str) else value or b"") for name, value in items)


class Outgoing(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One record to produce. The runtime adds `vhm-build` and passes on what `contract.headers` says."""

    topic: str
    key: bytes
    value: bytes
    headers: Headers = ()


class Reply(msgspec.Struct, frozen=True, gc=False):
    """The record was handled; `records`, possibly none, answer it. `unknown_fields`: names of its fields that
    no worker knows."""

    records: tuple[Outgoing, ...] = ()
    unknown_fields: tuple[str, ...] = ()


class Poison(msgspec.Struct, frozen=True, kw_only=True):
    """The record can never be handled: it goes to its topic's dead letters, and `records` answer it."""

    reason: str
    errors: tuple[str, ...] = ()
    records: tuple[Outgoing, ...] = ()
    unknown_fields: tuple[str, ...] = ()


class UnavailableError(Exception):
    """Something the worker needs is down.

    Raised from `handle`, the batch is retried for as long as it takes; meanwhile nothing is committed and
    nothing dropped. The message is one line for people: what is down, where, and how that was noticed.
    """


Outcome = Reply | Poison


class Handler(Protocol):
    """What a worker is to the runtime."""

    name: str
    """The worker's name: consumer group, label of logs and metrics, key into the topic graph."""

    batch_size: int
    """Most records in one call of `handle`."""

    max_batches: int
    """Most calls of `handle` at once."""

    async def open(self) -> None:
        """Load and connect. Raises UnavailableError to be called again after a pause."""
        ...

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        """One outcome for each record, in order. Raises UnavailableError to be called again with the same."""
        ...

    def failed(self, record: Record, error: str) -> Sequence[Outgoing]:
        """The answers to a record whose outcome is lost to a defect: they carry `error`, so that nobody waits
        in vain. Empty where the record cannot be read."""
        ...

    async def not_ready(self) -> Sequence[str]:
        """Why the worker cannot work now, one line for each reason; empty when it can.

        Called once a second. Answers within a second and never raises.
        """
        ...

    def details(self) -> Sequence[str]:
        """Further lines for /health; no secrets. Answers at once."""
        ...

    def drain(self, seconds: float) -> None:
        """A stop has begun: what is in flight must be finished within `seconds`. Returns at once."""
        ...

    async def close(self) -> None:
        """Free model, connections and threads. Nothing is in flight any more."""
        ...
