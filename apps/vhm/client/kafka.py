"""The verbs over Kafka: a record for each question, and the records that answer it.

    verb ─▶ produce ─▶ worker ─▶ answer topics ─▶ reader thread ─▶ exchange of that id

Each record carries `vhm-reply-to: <client>/<exchange>`, which the workers pass on to every answer, so that
a client decodes only its own answers and no two of them are mixed up. Answers are read from every partition
of their topics from where it ended when the client connected, outside any consumer group.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from vhm.client.errors import Refused, TooLarge, Unavailable
from vhm.client.exchange import Exchange, PendingAnchor, header_of
from vhm.client.results import Recollection
from vhm.client.transport import ANSWER_SECONDS, CLOSE_SECONDS, Listing, Reader
from vhm.contract import explain as explaining
from vhm.contract import headers
from vhm.contract.explain import Explanation
from vhm.contract.messages import (
    Anchor,
    AnchorsForget,
    AnchorsForgotten,
    RecallRequest,
    RecallResponse,
    RetellResponse,
    encode,
)
from vhm.contract.rest import Memories, StoredAnchor
from vhm.contract.settings import Settings
from vhm.contract.topics import (
    ANCHORS_FORGET,
    ANCHORS_FORGOTTEN,
    ANCHORS_INDEXED,
    ANCHORS_WRITE,
    CLIENT,
    RECALL_REQUEST,
    RECALL_RESPONSE,
    RETELL_RESPONSE,
    TOPICS,
)

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

ANSWERS = tuple(topic.name for topic in TOPICS if CLIENT in topic.readers)

CONNECT_SECONDS = 5.0
DELIVERY_SECONDS = 10.0
"""How long the broker may take to acknowledge a record."""

MOST_UNANSWERED = 1_000
MOST_UNANSWERED_BYTES = 1_000_000
"""Most bytes of memories without an answer at once: the embedded broker keeps 5 MB a partition."""

MOST_RECORD_BYTES = 1_000_000
"""A record of a stock broker may have 1 048 588 bytes, with its headers."""

POLL_SECONDS = 0.1
PARTITIONS_SECONDS = 30.0
"""Seconds between two checks for new partitions of the answer topics."""


class KafkaTransport:
    """`Transport` by a producer and a consumer; `reader` reads the store, where that can be reached."""

    def __init__(self, settings: Settings, reader: Reader | None = None) -> None:
        self._settings = settings
        self._reader = reader
        self._address = settings.kafka_bootstrap_servers
        self._prefix = settings.kafka_topic_prefix
        self._client = uuid.uuid4().hex
        self._numbers = itertools.count(1)
        self._exchanges: dict[bytes, Exchange] = {}
        self._unanswered: dict[Exchange, int] = {}
        self._unanswered_bytes = 0
        self._room = asyncio.Event()
        """Set when a memory has been answered."""
        self._trouble: KafkaError | None = None
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []
        self._loop: asyncio.AbstractEventLoop
        self._producer: Producer
        self._consumer: Consumer

    async def open(self) -> None:
        """See `Transport.open`."""
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._connect)
        for work in (self._serve_deliveries, self._read_answers):
            thread = threading.Thread(target=work, name=f"vhm-{work.__name__.strip('_')}", daemon=True)
            thread.start()
            self._threads.append(thread)

    async def remember(self, anchor: Anchor, *, filled: bool) -> PendingAnchor:
        """See `Transport.remember`."""
        value = record_of(anchor)
        while not self._has_room(len(value)):
            self._room.clear()
            try:
                await asyncio.wait_for(self._room.wait(), ANSWER_SECONDS)
            except TimeoutError:
                oldest = next(iter(self._unanswered))
                raise Unavailable(self._silence(oldest, ANSWER_SECONDS)) from None
        exchange = Exchange([ANCHORS_INDEXED], "the indexer")
        self._unanswered[exchange] = len(value)
        self._unanswered_bytes += len(value)
        extra = [(headers.STORED_AT, headers.FILLED)] if filled else []
        await self._send(exchange, ANCHORS_WRITE, key_of(anchor), value, extra)
        return PendingAnchor(anchor, exchange, self._silence)

    async def recall(
        self, request: RecallRequest, *, tell: bool, explain: int, seconds: float
    ) -> Recollection:
        """See `Transport.recall`."""
        request_id = request.request_id or uuid.uuid4()
        request = msgspec.structs.replace(request, request_id=request_id)
        exchange = Exchange([RECALL_RESPONSE, *([RETELL_RESPONSE] if tell else [])], "resonance")
        extra = [(explaining.HEADER, str(explain).encode())] if explain else []
        extra += [] if tell else [(headers.TELL, b"0")]
        await self._ask(exchange, RECALL_REQUEST, request_id, encode(request), extra, seconds)
        recalled = exchange.value(RECALL_RESPONSE, RecallResponse)
        if recalled.error is not None:
            raise Refused([recalled.error])
        explanation = exchange.header(RECALL_RESPONSE, explaining.HEADER)
        return Recollection(
            request_id=request_id,
            owner=request.owner,
            beats=recalled.beats,
            story=exchange.value(RETELL_RESPONSE, RetellResponse).retelling if tell else None,
            explanation=msgspec.json.decode(explanation, type=Explanation) if explanation else None,
        )

    async def forget(self, request: AnchorsForget, *, seconds: float) -> int:
        """See `Transport.forget`."""
        request_id = request.request_id or uuid.uuid4()
        request = msgspec.structs.replace(request, request_id=request_id)
        exchange = Exchange([ANCHORS_FORGOTTEN], "the indexer")
        await self._ask(exchange, ANCHORS_FORGET, request_id, encode(request), [], seconds)
        forgotten = exchange.value(ANCHORS_FORGOTTEN, AnchorsForgotten)
        if forgotten.errors:
            raise Refused(forgotten.errors)
        return forgotten.forgotten or 0

    async def get(self, owner: str, anchor_id: uuid.UUID) -> StoredAnchor | None:
        """See `Reader.get`."""
        return await self._store().get(owner, anchor_id)

    async def page(self, listing: Listing) -> Memories:
        """See `Reader.page`."""
        return await self._store().page(listing)

    async def owners(self) -> list[str]:
        """See `Reader.owners`."""
        return await self._store().owners()

    async def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """See `Transport.close`."""
        if not self._threads:
            return
        until = time.monotonic() + seconds
        for exchange in list(self._unanswered):
            try:
                await exchange.wait(max(0.0, until - time.monotonic()))
            except (TimeoutError, Unavailable):  # whoever waits for the receipt hears of it
                continue
        self._closing.set()
        for thread in self._threads:
            await asyncio.to_thread(thread.join)
        self._threads.clear()
        for exchange in self._exchanges.values():
            exchange.fail(Unavailable("the connection was closed before the answer came"))
        await asyncio.to_thread(self._consumer.close)

    def _store(self) -> Reader:
        if self._reader is None:
            raise Unavailable(
                f"Kafka at {self._address} cannot list what is stored: set VHM_URL to a gateway for that"
            )
        return self._reader

    async def _ask(
        self,
        exchange: Exchange,
        topic: str,
        request_id: uuid.UUID,
        value: bytes,
        extra: list[tuple[str, bytes]],
        seconds: float,
    ) -> None:
        """Send a question and wait for its answers."""
        if len(value) > MOST_RECORD_BYTES:
            raise TooLarge([f"the request has {len(value)} bytes, more than the broker takes"])
        correlation = await self._send(exchange, topic, str(request_id).encode(), value, extra)
        try:
            await exchange.wait(seconds)
        except TimeoutError:
            raise Unavailable(self._silence(exchange, seconds)) from None
        finally:
            self._exchanges.pop(correlation, None)

    async def _send(
        self, exchange: Exchange, topic: str, key: bytes, value: bytes, extra: list[tuple[str, bytes]]
    ) -> bytes:
        """Hand a record to the producer; returns the exchange's id."""
        correlation = f"{self._client}/{next(self._numbers)}".encode()
        self._exchanges[correlation] = exchange

        def report(error: KafkaError | None, _: Message) -> None:
            self._loop.call_soon_threadsafe(self._delivered, correlation, error)

        record_headers: list[tuple[str, str | bytes | None]] = [*extra, (headers.REPLY_TO, correlation)]
        while True:
            try:
                self._producer.produce(
                    self._prefix + topic, value, key, on_delivery=report, headers=record_headers
                )
            except BufferError:  # librdkafka's queue is full: let it send
                await asyncio.sleep(0.005)
            else:
                return correlation

    def _delivered(self, correlation: bytes, error: KafkaError | None) -> None:
        exchange = self._exchanges.get(correlation)
        if exchange is None:
            return
        if error is None:
            exchange.take()
            return
        del self._exchanges[correlation]
        exchange.fail(Unavailable(f"the broker at {self._address} did not take the record: {error.str()}"))
        self._release(exchange)

    def _has_room(self, size: int) -> bool:
        return not self._unanswered or (
            len(self._unanswered) < MOST_UNANSWERED and self._unanswered_bytes + size <= MOST_UNANSWERED_BYTES
        )

    def _silence(self, exchange: Exchange, seconds: float) -> str:
        """The likeliest reason for a missing answer."""
        if self._trouble is not None:
            return f"no answer within {seconds:g} s: {self._line(self._trouble)}"
        return f"no answer from {exchange.asked_of} for {seconds:g} s; is it running and ready?"

    def _line(self, error: KafkaError) -> str:
        from confluent_kafka import KafkaError as Codes

        code = error.code()
        if code == Codes._RESOLVE:
            return f"no such host: {self._address} (KAFKA_BOOTSTRAP_SERVERS)"
        if code in (Codes._AUTHENTICATION, Codes.SASL_AUTHENTICATION_FAILED):
            return (
                f"the broker at {self._address} refused the user or password (KAFKA_SASL_USERNAME, _PASSWORD)"
            )
        if code == Codes._SSL:
            return f"no secure connection to {self._address}: {error.str()}"
        return f"no broker answers at {self._address} (is it up? is KAFKA_BOOTSTRAP_SERVERS right?)"

    def _note(self, error: KafkaError) -> None:
        from confluent_kafka import KafkaError as Codes

        if self._trouble is None or error.code() != Codes._ALL_BROKERS_DOWN:
            self._trouble = error

    def _connect(self) -> None:
        from confluent_kafka import Consumer, KafkaException, Producer

        from vhm.runtime.kafka_config import client_config

        common = {**client_config(self._settings, "client"), "error_cb": self._note, "log_level": 0}
        self._producer = Producer(
            {**common, "linger.ms": 1, "message.timeout.ms": int(DELIVERY_SECONDS * 1000)}
        )
        self._consumer = Consumer(
            {
                **common,
                "group.id": "vhm-client",
                "enable.auto.commit": False,
                # only where a position is gone, as when the embedded broker was started anew
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 20,
            }
        )
        try:
            self._consumer.assign(self._ends([self._prefix + name for name in ANSWERS]))
        except KafkaException as error:
            self._consumer.poll(0)  # serves the error callback, which knows more
            raise Unavailable(self._line(self._trouble or error.args[0])) from None
        self._trouble = None

    def _ends(self, topics: Sequence[str]) -> list[TopicPartition]:
        """Every partition of the topics, at its end."""
        from confluent_kafka import TopicPartition

        positions = []
        for topic in topics:
            found = self._consumer.list_topics(topic, timeout=CONNECT_SECONDS).topics[topic]
            if found.error is not None:
                raise Unavailable(
                    f"the broker at {self._address} has no topic {topic}: start the workers first"
                )
            for partition in found.partitions:
                position = TopicPartition(topic, partition)
                _, position.offset = self._consumer.get_watermark_offsets(position, timeout=CONNECT_SECONDS)
                positions.append(position)
        return positions

    def _serve_deliveries(self) -> None:
        while not self._closing.is_set():
            self._producer.poll(POLL_SECONDS)
        self._producer.flush(CONNECT_SECONDS)

    def _read_answers(self) -> None:
        mine = f"{self._client}/".encode()
        looked = time.monotonic()
        while not self._closing.is_set():
            answers = []
            for message in self._next_messages():
                if (error := message.error()) is not None:
                    self._note(error)
                elif (to := header_of(message, headers.REPLY_TO)) is not None and to.startswith(mine):
                    answers.append((to, message))
            if answers:
                self._loop.call_soon_threadsafe(self._take, answers)
            if time.monotonic() - looked > PARTITIONS_SECONDS:
                self._add_partitions()
                looked = time.monotonic()

    def _next_messages(self) -> list[Message]:
        """The messages that are here, else the next one. `consume` would wait for more until its timeout."""
        first = self._consumer.poll(POLL_SECONDS)
        return [] if first is None else [first, *self._consumer.consume(500, 0)]

    def _add_partitions(self) -> None:
        """Read partitions that were added to an answer topic, from their start."""
        from confluent_kafka import KafkaException, TopicPartition

        try:
            known = {(at.topic, at.partition) for at in self._consumer.assignment()}
            topics = self._consumer.list_topics(timeout=CONNECT_SECONDS).topics
            new = [
                TopicPartition(topic, partition, 0)
                for topic in (self._prefix + name for name in ANSWERS)
                if topic in topics
                for partition in topics[topic].partitions
                if (topic, partition) not in known
            ]
            if new:
                self._consumer.incremental_assign(new)
        except KafkaException as error:
            self._note(error.args[0])

    def _take(self, answers: Sequence[tuple[bytes, Message]]) -> None:
        self._trouble = None
        for correlation, message in answers:
            exchange = self._exchanges.get(correlation)
            if exchange is None:
                continue
            topic = (message.topic() or "").removeprefix(self._prefix)
            if topic == RECALL_RESPONSE:
                exchange.asked_of = "the reteller"
            if exchange.add(topic, message):
                del self._exchanges[correlation]
                self._release(exchange)

    def _release(self, exchange: Exchange) -> None:
        """Make room for further memories."""
        if (size := self._unanswered.pop(exchange, None)) is not None:
            self._unanswered_bytes -= size
            self._room.set()


def record_of(anchor: Anchor) -> bytes:
    """The value of anchors-write. Raises TooLarge where the broker would not take it."""
    value = encode(anchor)
    if len(value) > MOST_RECORD_BYTES:
        raise TooLarge([f"the memory has {len(value)} bytes, more than the broker takes"])
    return value


def key_of(anchor: Anchor) -> bytes:
    """The key of anchors-write: turns of one session stay in order, in one partition."""
    return f"{anchor.owner}/{anchor.session}".encode() if anchor.session else str(anchor.anchor_id).encode()
