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
from vhm.runtime import record
from vhm.runtime.dead_letters import envelope
from vhm.runtime.handler import Record
from vhm.runtime.kafka_config import Config, describe

ASK_SECONDS = 10.0

DEAD_LETTER_TOPICS = tuple(topic.name for topic in TOPICS if topic.name.endswith(DEAD_LETTER_SUFFIX))


class DeadLettersError(Exception):
    """Dead letters cannot be read or sent; one line."""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One refused record, as it came, and why it was refused. `kept_at` is when."""

    record: Record
    reason: str
    errors: list[str]
    build: str
    kept_at: datetime

    @property
    def place(self) -> str:
        """Where the record was: topic/partition/offset. Names the letter."""
        return f"{self.record.topic}/{self.record.partition}/{self.record.offset}"


class Count(NamedTuple):
    """How many records of one topic were refused for one reason, and when first and last."""

    topic: str
    reason: str
    letters: int
    first: datetime
    last: datetime


def read(config: Config, topics: Sequence[str], since: datetime | None = None) -> list[DeadLetter]:
    """The letters in these dead-letter topics, oldest first, each once however often it was kept.

    `config` is that of a client. Raises DeadLettersError; a topic that does not exist is an empty one."""
    consumer = Consumer({**config, "group.id": "vhm-dead-letters", "enable.auto.commit": False})
    try:
        parts: dict[str, list[Message]] = {}
        for message in _messages(consumer, topics):
            place = "/".join(_text(message, n) for n in _PLACE)
            # without a place of origin it is none of ours, and stands for itself
            own = f"{message.topic()}/{message.partition()}/{message.offset()}"
            named = place if place.count("/") == 2 and not place.startswith("/") else own
            parts.setdefault(named, []).append(message)
        letters = [letter for found in parts.values() for letter in _letter(found)]
    except KafkaException as error:
        raise DeadLettersError(describe(error.args[0])) from None
    finally:
        consumer.close()
    letters = [letter for letter in letters if since is None or letter.kept_at >= since]
    return sorted(letters, key=lambda letter: letter.kept_at)


def counts(letters: Iterable[DeadLetter]) -> list[Count]:
    """Reasons, the most frequent first."""
    found: dict[tuple[str, str], list[datetime]] = {}
    for letter in letters:
        found.setdefault((letter.record.topic, letter.reason), []).append(letter.kept_at)
    rows = [Count(*key, len(when), min(when), max(when)) for key, when in found.items()]
    return sorted(rows, key=lambda row: (-row.letters, row.topic, row.reason))


def replay(config: Config, letters: Sequence[DeadLetter]) -> Counter[str]:
    """Send each record to where it came from, with its key, headers and timestamp; how many, by topic.

    Returns when the broker has all of them. Raises DeadLettersError with what it has not."""
    producer = Producer({**config, "enable.idempotence": True, "message.timeout.ms": 30_000})
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


def payload(value: bytes | None, most: int = 2_000) -> str:
    """A value fit for a terminal: control characters and what is not UTF-8 escaped, cut after `most`."""
    if value is None:
        return "(no value)"
    text = value[: 4 * most].decode("utf-8", "backslashreplace")
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:most])
    return safe + (f" … ({len(value)} bytes in all)" if len(text) > most or len(value) > 4 * most else "")


_PLACE = (envelope.TOPIC, envelope.PARTITION, envelope.OFFSET)


def _messages(consumer: Consumer, topics: Sequence[str]) -> Iterator[Message]:
    """Everything in these topics, to their ends as they are now."""
    known = consumer.list_topics(timeout=ASK_SECONDS).topics
    starts = [
        At(topic, n, OFFSET_BEGINNING) for topic in topics if topic in known for n in known[topic].partitions
    ]
    ends: dict[tuple[str, int], int] = {}
    for start in starts:
        low, high = consumer.get_watermark_offsets(start, timeout=ASK_SECONDS)
        if high > low:
            ends[start.topic, start.partition] = high
    consumer.assign([s for s in starts if (s.topic, s.partition) in ends])
    until = time.monotonic() + ASK_SECONDS
    while ends:
        messages = consumer.consume(1_000, 0.1)
        if messages:
            until = time.monotonic() + ASK_SECONDS
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


def _letter(messages: Sequence[Message]) -> Iterator[DeadLetter]:
    """The letter that these parts make up; of one kept several times, the last."""
    last = messages[-1]
    headers = record.headers(last)
    parts = [(envelope.part(record.headers(m)), m.value() or b"") for m in messages]
    whole = [m.value() for m in messages if envelope.part(record.headers(m)) == (1, 1)]
    value = whole[-1] if whole else envelope.joined(parts)
    incomplete = not whole and value is None
    topic = _text(last, envelope.TOPIC) or (last.topic() or "").removesuffix(DEAD_LETTER_SUFFIX)
    errors = _errors(_text(last, envelope.ERRORS))
    yield DeadLetter(
        record=Record(
            topic=topic,
            partition=_number(last, envelope.PARTITION, last.partition()),
            offset=_number(last, envelope.OFFSET, last.offset()),
            timestamp=_number(last, envelope.TIMESTAMP, last.timestamp()[1]),
            key=last.key(),
            value=b"".join(piece for _, piece in sorted(parts)) if incomplete else value,
            headers=tuple(pair for pair in headers if pair[0] not in envelope.OURS),
        ),
        reason=_text(last, envelope.REASON) or "unknown",
        errors=[*errors, "some parts of the value are not there (yet)"] if incomplete else errors,
        build=_text(last, envelope.BUILD),
        kept_at=datetime.fromtimestamp(last.timestamp()[1] / 1_000, UTC),
    )


def _text(message: Message, name: str) -> str:
    found = next((value for header, value in record.headers(message) if header == name), b"")
    return found.decode("utf-8", "replace")


def _number(message: Message, name: str, otherwise: int | None) -> int:
    text = _text(message, name)
    return int(text) if text.lstrip("-").isdigit() else (otherwise or 0)


def _errors(text: str) -> list[str]:
    try:
        return msgspec.json.decode(text, type=list[str])
    except msgspec.MsgspecError:
        return [text] if text else []
