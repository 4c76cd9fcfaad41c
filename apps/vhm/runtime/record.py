"""From confluent-kafka's message to our record."""

from __future__ import annotations

from confluent_kafka import Message

from vhm.runtime.handler import Headers, Record


def headers(message: Message) -> Headers:
    """Its headers, in order; one without a value has an empty one."""
    pairs = message.headers()
    if not pairs:
        return ()
    items = pairs.items() if isinstance(pairs, dict) else pairs
    return tuple((name, value.encode() if isinstance(value, str) else value or b"") for name, value in items)


def record(message: Message) -> Record | None:
    """The record, or None when the message stands for an event of the client."""
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    if topic is None or partition is None or offset is None:
        return None
    return Record(
        topic=topic,
        partition=partition,
        offset=offset,
        timestamp=message.timestamp()[1],
        value=message.value(),
        key=message.key(),
        headers=headers(message),
    )
