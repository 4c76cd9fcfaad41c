"""Offsets on their way from the event loop to the consumer.

confluent-kafka lets one thread at a time into a consumer and makes the others wait until a poll has
returned. So whatever needs the consumer is queued here, and the poll thread does it between two polls.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping

from confluent_kafka import Consumer, KafkaException, TopicPartition

from vhm.runtime.offset_tracker import Partition

REFRESH_SECONDS = 1.0
"""Age at which the end offsets are read again."""

LOOKUP_SECONDS = 2.0
"""Longest wait for the broker's answer to a question about offsets."""


class OffsetCommitter:
    """Hands offsets to librdkafka, which commits them in the background.

    `store` and `look_up_first` may be called from any thread, everything else on the poll thread only.
    """

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._lock = threading.Lock()
        self._pending: dict[Partition, int] = {}
        self._lookups: list[tuple[Partition, Callable[[int], None]]] = []
        self._refreshed = 0.0
        self.ends: dict[Partition, int] = {}
        """End offset of each assigned partition, as of the last fetch; a new dict at each refresh."""

    def store(self, positions: Mapping[Partition, int]) -> None:
        """Queue offsets that may be committed."""
        with self._lock:
            self._pending.update(positions)

    def look_up_first(self, partition: Partition, callback: Callable[[int], None]) -> None:
        """Queue a question: `callback` gets, on the poll thread, the first offset the broker still has."""
        with self._lock:
            self._lookups.append((partition, callback))

    def flush(self) -> None:
        """Store what is queued, answer the questions, refresh `ends`."""
        if self._pending:
            with self._lock:
                pending, self._pending = self._pending, {}
            self._store(pending)
        if self._lookups:
            with self._lock:
                lookups, self._lookups = self._lookups, []
            for partition, callback in lookups:
                first = self._first(partition)
                if first is not None:
                    callback(first)
        if time.monotonic() - self._refreshed > REFRESH_SECONDS:
            self._refreshed = time.monotonic()
            self.ends = dict(self._ends())

    def discard(self, partitions: Iterable[Partition]) -> None:
        """Drop what is queued for partitions that are lost."""
        with self._lock:
            for partition in partitions:
                self._pending.pop(partition, None)

    def committed(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Committed offsets of those that have one; empty when the broker does not answer."""
        try:
            answers = self._consumer.committed([TopicPartition(*p) for p in partitions], LOOKUP_SECONDS)
        except KafkaException:
            return {}
        return {(p.topic, p.partition): p.offset for p in answers if p.error is None and p.offset >= 0}

    def _first(self, partition: Partition) -> int | None:
        """The first offset the broker still has; None when it does not answer."""
        try:
            return self._consumer.get_watermark_offsets(TopicPartition(*partition), LOOKUP_SECONDS)[0]
        except KafkaException:
            return None

    def _store(self, positions: Mapping[Partition, int]) -> None:
        for (topic, partition), offset in positions.items():
            try:
                self._consumer.store_offsets(offsets=[TopicPartition(topic, partition, offset)])
            except KafkaException:
                continue  # no longer assigned: its new owner repeats what was in flight

    def _ends(self) -> Iterable[tuple[Partition, int]]:
        for partition in self._consumer.assignment():
            try:
                _, end = self._consumer.get_watermark_offsets(partition, cached=True)
            except KafkaException:
                continue
            if end >= 0:
                yield (partition.topic, partition.partition), end
