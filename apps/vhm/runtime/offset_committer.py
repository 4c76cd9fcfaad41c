"""OffsetCommitter on their way from the event loop to the consumer.

confluent-kafka lets one thread at a time into a consumer and makes the others wait until a poll has
returned, so everything that needs the consumer is left here for the poll thread to do between two polls.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping

from confluent_kafka import Consumer, KafkaException, TopicPartition

Partition = tuple[str, int]

REFRESH_SECONDS = 1.0
LOOK_UP_SECONDS = 2.0


class OffsetCommitter:
    """`store` and `look_up` may be called from any thread, `settle` and `forget` on the poll thread only."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._lock = threading.Lock()
        self._pending: dict[Partition, int] = {}
        self._questions: list[tuple[Partition, Callable[[int], None]]] = []
        self._refreshed = 0.0
        self.ends: dict[Partition, int] = {}
        """End of each assigned partition as far as librdkafka has heard; a new dict at each refresh."""

    def store(self, positions: Mapping[Partition, int]) -> None:
        """These may be committed."""
        with self._lock:
            self._pending.update(positions)

    def look_up(self, partition: Partition, tell: Callable[[int], None]) -> None:
        """Call `tell`, on the poll thread, with the first offset the broker still has."""
        with self._lock:
            self._questions.append((partition, tell))

    def settle(self) -> None:
        """Do what has been asked for."""
        if self._pending:
            with self._lock:
                pending, self._pending = self._pending, {}
            self._store(pending)
        if self._questions:
            with self._lock:
                questions, self._questions = self._questions, []
            for partition, tell in questions:
                first = self.first(partition)
                if first is not None:
                    tell(first)
        if time.monotonic() - self._refreshed > REFRESH_SECONDS:
            self._refreshed = time.monotonic()
            self.ends = dict(self._ends())

    def forget(self, partitions: Iterable[Partition]) -> None:
        """Nothing of these may be stored any more."""
        with self._lock:
            for partition in partitions:
                self._pending.pop(partition, None)

    def committed(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Committed offsets; without those that have none, and empty when the broker does not answer."""
        try:
            answers = self._consumer.committed([TopicPartition(*p) for p in partitions], LOOK_UP_SECONDS)
        except KafkaException:
            return {}
        return {(p.topic, p.partition): p.offset for p in answers if p.error is None and p.offset >= 0}

    def first(self, partition: Partition) -> int | None:
        """The first offset the broker still has; None when it does not answer."""
        try:
            return self._consumer.get_watermark_offsets(TopicPartition(*partition), LOOK_UP_SECONDS)[0]
        except KafkaException:
            return None

    def _store(self, positions: Mapping[Partition, int]) -> None:
        for (topic, partition), offset in positions.items():
            try:
                self._consumer.store_offsets(offsets=[TopicPartition(topic, partition, offset)])
            except KafkaException:
                continue  # no longer ours: whoever has it repeats what was in flight

    def _ends(self) -> Iterable[tuple[Partition, int]]:
        for place in self._consumer.assignment():
            try:
                _, end = self._consumer.get_watermark_offsets(place, cached=True)
            except KafkaException:
                continue
            if end >= 0:
                yield (place.topic, place.partition), end
