"""A question on its way through Kafka, and the answers to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import msgspec

from vhm.client.errors import Refused, Unavailable
from vhm.client.results import Receipt
from vhm.client.transport import ANSWER_SECONDS
from vhm.contract.messages import Anchor, AnchorIndexed
from vhm.contract.topics import ANCHORS_INDEXED

if TYPE_CHECKING:
    from confluent_kafka import Message

T = TypeVar("T", bound=msgspec.Struct)


class Exchange:
    """One question and the answers that have come, by topic. Lives on the event loop."""

    def __init__(self, answers: Sequence[str], asked_of: str) -> None:
        self.asked_of = asked_of
        """The worker that owes the next answer."""
        self._missing = set(answers)
        self._values: dict[str, Message] = {}
        loop = asyncio.get_running_loop()
        self._taken: asyncio.Future[None] = loop.create_future()
        self._complete: asyncio.Future[None] = loop.create_future()
        for future in (self._taken, self._complete):  # a failure that nobody waits for is no defect
            future.add_done_callback(lambda future: future.cancelled() or future.exception())

    def take(self) -> None:
        """The broker has acknowledged the question."""
        if not self._taken.done():
            self._taken.set_result(None)

    def add(self, topic: str, message: Message) -> bool:
        """Add an answer; returns whether it was the last one."""
        self.take()  # it may come before the acknowledgement, and says the same
        if topic in self._missing:
            self._missing.discard(topic)
            self._values[topic] = message
        if not self._missing and not self._complete.done():
            self._complete.set_result(None)
        return not self._missing

    def fail(self, error: Exception) -> None:
        """End the exchange with `error`: no answer will come."""
        for future in (self._taken, self._complete):
            if not future.done():
                future.set_exception(error)

    async def accepted(self) -> None:
        """Return when the broker has acknowledged the question. Raises Unavailable."""
        await asyncio.shield(self._taken)

    async def wait(self, seconds: float) -> None:
        """Return when all answers are there. Raises TimeoutError, or what it failed with."""
        await asyncio.wait_for(asyncio.shield(self._complete), seconds)

    def value(self, topic: str, kind: type[T]) -> T:
        """The answer from that topic."""
        return msgspec.json.decode(self._values[topic].value() or b"{}", type=kind)

    def header(self, topic: str, name: str) -> bytes | None:
        """A header of the answer from that topic."""
        return header_of(self._values[topic], name)


class PendingAnchor:
    """A memory on its way through Kafka."""

    def __init__(self, anchor: Anchor, exchange: Exchange, silence: Callable[[Exchange, float], str]) -> None:
        self.anchor_id = anchor.anchor_id
        self._owner = anchor.owner
        self._exchange = exchange
        self._silence = silence

    async def accepted(self) -> None:
        """Return when the broker has it, so that it cannot be lost. Raises Unavailable."""
        await self._exchange.accepted()

    async def wait(self, seconds: float = ANSWER_SECONDS) -> Receipt:
        """See `Pending.wait`."""
        try:
            await self._exchange.wait(seconds)
        except TimeoutError:
            raise Unavailable(self._silence(self._exchange, seconds)) from None
        indexed = self._exchange.value(ANCHORS_INDEXED, AnchorIndexed)
        if not indexed.ok:
            raise Refused(indexed.errors or [": ".join(filter(None, (indexed.reason, indexed.detail)))])
        return Receipt(anchor_id=self.anchor_id, owner=self._owner)


def header_of(message: Message, name: str) -> bytes | None:
    """The first header of that name."""
    pairs = message.headers() or ()
    items = pairs.items() if isinstance(pairs, dict) else pairs
    value = next((value for key, value in items if key == name), None)
    return value.encode() if isinstance(value, str) else value
