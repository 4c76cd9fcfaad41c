"""A client as other programs write one: plain JSON, no keys, no headers of ours."""

from __future__ import annotations

import json
import time
import uuid
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any

from confluent_kafka import Consumer, Message, Producer, TopicPartition


class ForeignClient:
    """Produces to any topic, and reads the answer topics from where they end when it opens."""

    def __init__(self, bootstrap: str, topics: list[str]) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0, "log_level": 0})
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": f"test-{uuid.uuid4()}",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 10,
                "log_level": 0,
            }
        )
        self._kept: list[Message] = []
        positions = []
        for topic in topics:
            for partition in self._consumer.list_topics(topic, 5).topics[topic].partitions:
                at = TopicPartition(topic, partition)
                at.offset = self._consumer.get_watermark_offsets(at, 5)[1]
                positions.append(at)
        self._consumer.assign(positions)

    def __enter__(self) -> ForeignClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def send(self, topic: str, body: object, **more: Any) -> None:
        """One record; bytes as they are, anything else as JSON."""
        value = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._producer.produce(topic, value=value, **more)
        self._producer.flush(5)

    def next(self, seconds: float = 10) -> Message:
        """The next record of any of the topics."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            message = self._consumer.poll(0.1)
            if message is not None and message.error() is None:
                return message
        raise AssertionError(f"no record within {seconds} s")

    def record(self, topic: str, field: str, value: object, seconds: float = 10) -> Message:
        """The record of `topic` whose body has `field` equal to `value`; others are kept for later."""
        until = time.monotonic() + seconds
        while True:
            for message in self._kept:
                body = json.loads(message.value() or b"{}")
                if message.topic() == topic and body.get(field) == value:
                    self._kept.remove(message)
                    return message
            if (left := until - time.monotonic()) <= 0:
                raise AssertionError(f"no record in {topic} with {field} = {value} within {seconds} s")
            self._kept.append(self.next(left))

    def answer(self, topic: str, field: str, value: object, seconds: float = 10) -> dict[str, Any]:
        """The body of such a record."""
        body: dict[str, Any] = json.loads(self.record(topic, field, value, seconds).value() or b"{}")
        return body


def anchor(text: str, days: float = 1.0, **more: Any) -> dict[str, Any]:
    """An anchors-write body of `days` ago."""
    stored_at = datetime.now(UTC) - timedelta(days=days)
    return {"anchor_id": str(uuid.uuid4()), "text": text, "stored_at": stored_at.isoformat()} | more
