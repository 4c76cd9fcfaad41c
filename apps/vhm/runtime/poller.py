"""The poll thread: takes records from Kafka while there is room for them, and serves rebalances."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from confluent_kafka import Consumer, Message, TopicPartition

from vhm.contract import topics as graph
from vhm.runtime.backpressure import Backpressure
from vhm.runtime.context import WorkerContext
from vhm.runtime.offset_committer import OffsetCommitter
from vhm.runtime.offset_tracker import Partition

ROOM_SECONDS = 1.0
"""Longest wait for room before the partitions are paused."""

POLL_SECONDS = 0.05
"""Longest wait for a record, and so for a stop or an offset to be noticed."""


class Sink(Protocol):
    """What gets records and rebalances from the poll thread. All of it runs on the event loop, in order."""

    def accept(self, messages: Sequence[Message], size: int) -> None:
        """One batch of `size` bytes: records, and client errors among them."""
        ...

    def assigned(self, committed: Mapping[Partition, int | None]) -> None:
        """Newly assigned partitions, with the committed offset where there is one."""
        ...

    async def revoked(self, partitions: Iterable[Partition], seconds: float) -> None:
        """Partitions about to be taken away: drain them for up to `seconds`, then forget them."""
        ...

    def lost(self, partitions: Iterable[Partition]) -> None:
        """Partitions that belong to another member already: forget them."""
        ...


class Poller:
    """The only user of the consumer, from `start` to `close`."""

    def __init__(
        self,
        context: WorkerContext,
        consumer: Consumer,
        committer: OffsetCommitter,
        backpressure: Backpressure,
        sink: Sink,
        *,
        embedded: bool = False,
    ) -> None:
        """`embedded`: the broker drops what is not fetched in time, so nothing is ever paused."""
        self._topics = [
            context.settings.kafka_topic_prefix + name for name in graph.reads(context.handler.name)
        ]
        self._batch_size = context.handler.batch_size
        self._drain_seconds = context.settings.shutdown_timeout_seconds
        self._consumer = consumer
        self._committer = committer
        self._backpressure = backpressure
        self._sink = sink
        self._embedded = embedded
        self._loop = asyncio.get_running_loop()
        self._stopping = threading.Event()
        self._paused_records: list[Message] = []
        self._reassigned = False
        self._thread = threading.Thread(target=self._run, name="poll", daemon=True)
        self.crash: BaseException | None = None
        """What ended the thread, if not `stop`."""
        self.polls = 0
        self.last_turn = time.monotonic()
        """When the poll loop last began a turn, on the monotonic clock."""

    def start(self) -> None:
        """Subscribe and poll from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Poll no more. Returns at once."""
        self._stopping.set()
        self._backpressure.close()

    def join(self) -> None:
        """After `stop`: wait for the thread; every record it polled is with the sink then. Blocks."""
        self._thread.join()

    def close(self) -> None:
        """After `join`: store the last offsets, commit them and leave the group. Blocks."""
        self._committer.flush()
        self._consumer.close()

    def _run(self) -> None:
        try:
            self._consumer.subscribe(
                self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
            )
            self._poll_until_stopped()
        except BaseException as error:  # whatever it is, the worker must know that nobody polls any more
            self.crash = error

    def _poll_until_stopped(self) -> None:
        full_since: float | None = None
        while not self._stopping.is_set():
            self.last_turn = time.monotonic()
            self._committer.flush()
            if self._reassigned:  # a partition lost while paused comes back paused
                self._consumer.resume(self._consumer.assignment())
                self._reassigned = False
            room = self._backpressure.wait_for_room(POLL_SECONDS)
            if room:
                full_since = None
                self._pass_on(self._poll(room * self._batch_size))
                self.polls += 1
            elif self._embedded:
                continue
            elif full_since is None:
                full_since = self.last_turn
            elif self.last_turn - full_since > ROOM_SECONDS:
                self._poll_paused()

    def _poll(self, count: int) -> list[Message]:
        """Up to `count` records that are here already, else the next one: never waits for a batch to fill."""
        messages = self._consumer.consume(count, 0)
        if not messages and (message := self._consumer.poll(POLL_SECONDS)) is not None:
            messages = [message]
        return messages

    def _poll_paused(self) -> None:
        """Stay a member of the group while there is no room: poll with every partition paused.

        Pausing throws away what librdkafka has prefetched, so it is for long waits only.
        """
        self._consumer.pause(self._consumer.assignment())
        self._reassigned = False
        while not (self._stopping.is_set() or self._backpressure.half_empty()):
            self.last_turn = time.monotonic()
            self._committer.flush()
            if (message := self._consumer.poll(POLL_SECONDS)) is not None:
                self._paused_records.append(message)
            if self._reassigned:  # a new partition comes unpaused
                self._consumer.pause(self._consumer.assignment())
                self._reassigned = False
        if not self._stopping.is_set():
            self._consumer.resume(self._consumer.assignment())
            messages, self._paused_records = self._paused_records, []
            self._pass_on(messages)

    def _pass_on(self, messages: list[Message]) -> None:
        for start in range(0, len(messages), self._batch_size):
            batch = messages[start : start + self._batch_size]
            size = sum(map(len, batch))
            self._backpressure.acquire(size)
            self._loop.call_soon_threadsafe(self._sink.accept, batch, size)

    def _on_assign(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._reassigned = True
        assigned = _pairs(partitions)
        committed = self._committer.committed(assigned) if assigned else {}
        self._loop.call_soon_threadsafe(self._sink.assigned, {p: committed.get(p) for p in assigned})

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        revoked = self._drop_paused_records(partitions)
        drained = asyncio.run_coroutine_threadsafe(
            self._sink.revoked(revoked, self._drain_seconds), self._loop
        )
        deadline = time.monotonic() + self._drain_seconds + 1
        while time.monotonic() < deadline:
            self.last_turn = time.monotonic()
            try:
                drained.result(POLL_SECONDS)
            except concurrent.futures.TimeoutError:
                continue
            break
        self._committer.flush()

    def _on_lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        lost = self._drop_paused_records(partitions)
        self._committer.discard(lost)
        self._loop.call_soon_threadsafe(self._sink.lost, lost)

    def _drop_paused_records(self, partitions: list[TopicPartition]) -> list[Partition]:
        gone = _pairs(partitions)
        self._paused_records = [m for m in self._paused_records if (m.topic(), m.partition()) not in gone]
        return gone


def _pairs(partitions: Iterable[TopicPartition]) -> list[Partition]:
    return [(p.topic, p.partition) for p in partitions]
