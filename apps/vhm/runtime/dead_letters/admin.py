"""Dead letters as people handle them: read, counted, shown, sent again."""

from __future__ import annotations

import functools
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer
from confluent_kafka import TopicPartition as At

from vhm.contract.topics import DEAD_LETTER_SUFFIX, TOPICS
from vhm.runtime.dead_letters import envelope
from vhm.runtime.handler import Headers, Record, headers_of
from vhm.runtime.kafka_config import MAX_MESSAGE_BYTES, Config, describe

ANSWER_SECONDS = 10.0
"""Longest wait for an answer of the broker."""

DEAD_LETTER_TOPICS = tuple(topic.name for topic in TOPICS if topic.name.endswith(DEAD_LETTER_SUFFIX))


class DeadLettersError(Exception):
    """Dead letters cannot be read or sent; one line."""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One refused record, as it came, why it was refused, by which build, and when."""

    record: Record
    reason: str
    errors: list[str]
    build: str
    kept_at: datetime

    @property
    def place(self) -> str:
        """Where the record was: topic/partition/offset. Identifies the dead letter."""
        return f"{self.record.topic}/{self.record.partition}/{self.record.offset}"


class ReasonCount(NamedTuple):
    """How many records of one topic were refused for one reason, and when first and last."""

    topic: str
    reason: str
    letters: int
    first: datetime
    last: datetime


def read(
    config: Config, topics: Sequence[str], since: datetime | None = None, last: int | None = None
) -> list[DeadLetter]:
    """The dead letters in these topics, oldest first; of a record refused several times, the last one.

    `config` is that of a Kafka client; `topics` are their full names; `last`: no more than so many of each
    partition, the newest. Raises DeadLettersError; a topic that does not exist is empty.
    """
    consumer = Consumer({**config, "group.id": "vhm-dead-letters", "enable.auto.commit": False})
    try:
        letters = {_identity(message): _letter(message) for message in _messages(consumer, topics, last)}
    except KafkaException as error:
        raise DeadLettersError(describe(error.args[0])) from None
    finally:
        consumer.close()
    chosen = [letter for letter in letters.values() if since is None or letter.kept_at >= since]
    return sorted(chosen, key=lambda letter: letter.kept_at)


def counts(letters: Iterable[DeadLetter]) -> list[ReasonCount]:
    """Reasons by topic, the most frequent first."""
    times: dict[tuple[str, str], list[datetime]] = {}
    for letter in letters:
        times.setdefault((letter.record.topic, letter.reason), []).append(letter.kept_at)
    rows = [ReasonCount(*key, len(when), min(when), max(when)) for key, when in times.items()]
    return sorted(rows, key=lambda row: (-row.letters, row.topic, row.reason))


def replay(config: Config, letters: Sequence[DeadLetter]) -> Counter[str]:
    """Send each record to where it came from, with its key, headers and timestamp; the number sent, by topic.

    Returns when the broker has acknowledged all of them. Raises DeadLettersError naming those it refused.
    """
    producer = Producer(
        {
            **config,
            "enable.idempotence": True,
            "message.timeout.ms": 30_000,
            "message.max.bytes": MAX_MESSAGE_BYTES,
        }
    )
    sent: Counter[str] = Counter()
    refused: list[str] = []

    def report(letter: DeadLetter, error: KafkaError | None, _: Message | None = None) -> None:
        if error is None:
            sent[letter.record.topic] += 1
        else:
            refused.append(f"{letter.place}: {describe(error)}")

    for letter in letters:
        record = letter.record
        while True:
            try:
                producer.produce(
                    record.topic,
                    record.value,
                    record.key,
                    timestamp=max(record.timestamp, 0),
                    headers=list(record.headers),
                    on_delivery=functools.partial(report, letter),
                )
            except BufferError:
                producer.poll(0.1)
                continue
            except KafkaException as error:
                report(letter, error.args[0])
            break
        producer.poll(0)
    producer.flush()
    if refused:
        raise DeadLettersError(f"{sum(sent.values())} sent; not sent: " + "; ".join(refused[:5]))
    return sent


def payload(value: bytes | None, limit: int = 2_000) -> str:
    """A value fit for a terminal: control characters and what is not UTF-8 escaped, cut after `limit`."""
    if value is None:
        return "(no value)"
    text = value[: 4 * limit].decode("utf-8", "backslashreplace")
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:limit])
    return safe + (f" … ({len(value)} bytes in all)" if len(text) > limit or len(value) > 4 * limit else "")


def _messages(consumer: Consumer, topics: Sequence[str], last: int | None) -> Iterator[Message]:
    """The messages of these topics up to their current ends: all, or the last ones of each partition."""
    known = consumer.list_topics(timeout=ANSWER_SECONDS).topics
    starts = [
        At(topic, n, OFFSET_BEGINNING) for topic in topics if topic in known for n in known[topic].partitions
    ]
    ends: dict[tuple[str, int], int] = {}
    for start in starts:
        low, high = consumer.get_watermark_offsets(start, timeout=ANSWER_SECONDS)
        if high > low:
            ends[start.topic, start.partition] = high
        if last is not None:
            start.offset = max(low, high - last)
    consumer.assign([s for s in starts if (s.topic, s.partition) in ends])
    until = time.monotonic() + ANSWER_SECONDS
    while ends:
        messages = consumer.consume(1_000, 0.1)
        if messages:
            until = time.monotonic() + ANSWER_SECONDS
        elif time.monotonic() > until:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "the broker sends no more"))
        for message in messages:
            if (error := message.error()) is not None:
                if not error.retriable():
                    raise KafkaException(error)
                continue
            yield message
        for at in consumer.position([At(*partition) for partition in ends]):
            if at.offset >= ends[at.topic, at.partition]:
                del ends[at.topic, at.partition]


def _identity(message: Message) -> tuple[str, ...]:
    """The place of the refused record; of another program's dead letter, its own."""
    headers = headers_of(message)
    origin = tuple(_header(headers, name) for name in (envelope.TOPIC, envelope.PARTITION, envelope.OFFSET))
    own = (message.topic() or "", str(message.partition()), str(message.offset()))
    return origin if all(origin) else own


def _letter(message: Message) -> DeadLetter:
    headers = headers_of(message)
    topic = _header(headers, envelope.TOPIC) or (message.topic() or "").removesuffix(DEAD_LETTER_SUFFIX)
    return DeadLetter(
        record=Record(
            topic=topic,
            partition=_number(headers, envelope.PARTITION, message.partition()),
            offset=_number(headers, envelope.OFFSET, message.offset()),
            timestamp=_number(headers, envelope.TIMESTAMP, message.timestamp()[1]),
            key=message.key(),
            value=message.value(),
            headers=tuple(pair for pair in headers if pair[0] not in envelope.HEADERS),
        ),
        reason=_header(headers, envelope.REASON) or "unknown",
        errors=_errors(_header(headers, envelope.ERRORS)),
        build=_header(headers, envelope.BUILD),
        kept_at=datetime.fromtimestamp(message.timestamp()[1] / 1_000, UTC),
    )


def _header(headers: Headers, name: str) -> str:
    return next((value for header, value in headers if header == name), b"").decode("utf-8", "replace")


def _number(headers: Headers, name: str, default: int | None) -> int:
    text = _header(headers, name)
    return int(text) if text.lstrip("-").isdigit() else (default or 0)


def _errors(text: str) -> list[str]:
    try:
        return msgspec.json.decode(text, type=list[str])
    except msgspec.MsgspecError:
        return [text] if text else []
