"""The poll thread: takes records from Kafka while there is room for them, and serves rebalances."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from confluent_kafka import Consumer, Message, TopicPartition

from vhm.runtime.backpressure import Backpressure
from vhm.runtime.offset_committer import OffsetCommitter, Partition

ROOM_SECONDS = 1.0
"""How long a full window is waited for before the partitions are paused."""

POLL_SECONDS = 0.05
"""Longest wait for a record: the longest that a stop or an offset to store waits for us, too."""


class Sink(Protocol):
    """Who receives what the poll thread gets; all of it runs on the event loop, in order."""

    def accept(self, messages: Sequence[Message]) -> None:
        """Records, and errors among them, to be handled in calls of at most `batch`."""
        ...

    def assigned(self, committed: Mapping[Partition, int | None]) -> None:
        """These are ours from now on, with the committed offset where there is one."""
        ...

    async def release(self, partitions: Iterable[Partition], seconds: float) -> None:
        """These are about to be taken from us: finish them within `seconds`, then forget them."""
        ...

    def lost(self, partitions: Iterable[Partition]) -> None:
        """These are somebody else's already: forget them."""
        ...


class Poller:
    """The only one to touch the consumer, from `start` to `close`."""

    def __init__(
        self,
        consumer: Consumer,
        topics: Sequence[str],
        *,
        batch: int,
        window: Backpressure,
        offsets: OffsetCommitter,
        sink: Sink,
        loop: asyncio.AbstractEventLoop,
        release_seconds: float,
    ) -> None:
        self._consumer = consumer
        self._topics = list(topics)
        self._batch = batch
        self._window = window
        self._offsets = offsets
        self._sink = sink
        self._loop = loop
        self._release_seconds = release_seconds
        self._stopping = threading.Event()
        self._held: list[Message] = []
        self._reassigned = False
        self._thread = threading.Thread(target=self._run, name="poll", daemon=True)
        self.crash: BaseException | None = None
        """What ended the thread, if something but `stop` did."""
        self.polls = 0
        self.beat = time.monotonic()
        """When the thread last came round, on the monotonic clock."""

    def start(self) -> None:
        """Subscribe and poll from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Take nothing more. Returns at once."""
        self._stopping.set()
        self._window.close()

    def join(self) -> None:
        """After `stop`: wait for the thread; nothing more is handed over then. Blocks."""
        self._thread.join()

    def close(self) -> None:
        """After `join`: store what is done, commit it and leave the group. Blocks."""
        self._offsets.settle()
        self._consumer.close()

    def _run(self) -> None:
        try:
            self._consumer.subscribe(
                self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
            )
            self._poll_until_stopped()
        except BaseException as error:  # whatever it was, the loop must learn that nobody polls any more
            self.crash = error

    def _poll_until_stopped(self) -> None:
        full_since: float | None = None
        while not self._stopping.is_set():
            self.beat = time.monotonic()
            self._offsets.settle()
            if self._reassigned:  # what was lost while paused comes back paused
                self._consumer.resume(self._consumer.assignment())
                self._reassigned = False
            room = self._window.wait_for_room(POLL_SECONDS)
            if room:
                full_since = None
                self._hand_over(self._take(room * self._batch))
                self.polls += 1
            elif full_since is None:
                full_since = self.beat
            elif self.beat - full_since > ROOM_SECONDS:
                self._poll_paused()

    def _take(self, most: int) -> list[Message]:
        """What has come already, else the next record to come: never waits for a batch to fill up."""
        messages = self._consumer.consume(most, 0)
        if not messages and (message := self._consumer.poll(POLL_SECONDS)) is not None:
            messages = [message]
        return messages

    def _poll_paused(self) -> None:
        """Keep our membership while there is no room: poll with everything paused.

        Pausing throws away what librdkafka has fetched ahead, so this is for long waits only."""
        self._consumer.pause(self._consumer.assignment())
        self._reassigned = False
        while not (self._stopping.is_set() or self._window.half_empty()):
            self.beat = time.monotonic()
            self._offsets.settle()
            if (message := self._consumer.poll(POLL_SECONDS)) is not None:
                self._held.append(message)
            if self._reassigned:  # what was never paused before comes unpaused
                self._consumer.pause(self._consumer.assignment())
                self._reassigned = False
        if not self._stopping.is_set():
            self._consumer.resume(self._consumer.assignment())
            held, self._held = self._held, []
            self._hand_over(held)

    def _hand_over(self, messages: list[Message]) -> None:
        if messages:
            calls = -(-len(messages) // self._batch)
            self._window.take(calls, sum(map(len, messages)))
            self._loop.call_soon_threadsafe(self._sink.accept, messages)

    def _on_assign(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._reassigned = True
        ours = _named(partitions)
        committed = self._offsets.committed(ours) if ours else {}
        self._loop.call_soon_threadsafe(self._sink.assigned, {p: committed.get(p) for p in ours})

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        gone = self._let_go(partitions)
        released = asyncio.run_coroutine_threadsafe(
            self._sink.release(gone, self._release_seconds), self._loop
        )
        deadline = time.monotonic() + self._release_seconds + 1
        while time.monotonic() < deadline:
            self.beat = time.monotonic()
            try:
                released.result(POLL_SECONDS)
            except concurrent.futures.TimeoutError:
                continue
            break
        self._offsets.settle()

    def _on_lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        gone = self._let_go(partitions)
        self._offsets.forget(gone)
        self._loop.call_soon_threadsafe(self._sink.lost, gone)

    def _let_go(self, partitions: list[TopicPartition]) -> list[Partition]:
        gone = _named(partitions)
        self._held = [m for m in self._held if (m.topic(), m.partition()) not in gone]
        return gone


def _named(partitions: Iterable[TopicPartition]) -> list[Partition]:
    return [(p.topic, p.partition) for p in partitions]
