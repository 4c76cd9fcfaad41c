"""From outcomes to acknowledged records, dead letters among them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from confluent_kafka import KafkaError

from vhm.contract.headers import PASSED_ON
from vhm.runtime import topic_admin
from vhm.runtime.context import WorkerContext
from vhm.runtime.dead_letters import envelope
from vhm.runtime.handler import Outcome, Outgoing, Poison, Record
from vhm.runtime.kafka_config import describe
from vhm.runtime.logs import record_fields
from vhm.runtime.producer import DeliveryFailure, HeaderList, ProducerRecord, RecordProducer
from vhm.runtime.retry import Wait, answers_to_failed, backoff
from vhm.runtime.threads import in_daemon_thread

TOO_LARGE = frozenset(
    {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE, KafkaError.INVALID_MSG_SIZE}
)

UNKNOWN_LINE_SECONDS = 60.0
"""Least time between two log lines about unknown fields of one topic."""

OnDelivered = Callable[[Iterable[int]], None]
"""Called with the indices of consumed records as soon as every record produced for them is acknowledged."""


class Delivery:
    """Produces the records of outcomes until Kafka has acknowledged all of them."""

    def __init__(self, context: WorkerContext, producer: RecordProducer) -> None:
        self._context = context
        self._producer = producer
        self._unknown_logged: dict[str, float] = {}
        self._build_header: HeaderList = [(envelope.BUILD, context.build.encode())]

    async def deliver(
        self, records: Sequence[Record], outcomes: Sequence[Outcome], wait: Wait, on_delivered: OnDelivered
    ) -> None:
        """Produce until nothing is left. What Kafka refuses is produced again after `wait`, whose exceptions
        end it."""
        pending = self._to_produce(zip(range(len(records)), records, outcomes, strict=True))
        undelivered = set(range(len(records)))
        tries = 0
        try:
            while True:
                failures = await self._producer.send(pending)
                failed = {failure.record.index for failure in failures}
                on_delivered(sorted(undelivered - failed))
                undelivered = failed
                if not undelivered:
                    return
                self._context.metrics.refused.inc(len(failures))
                oversized = [failure for failure in failures if _is_oversized_reply(failure)]
                refused = [failure for failure in failures if not _is_oversized_reply(failure)]
                pending = self._to_produce(self._oversized(records, failure) for failure in oversized)
                pending += [failure.record for failure in refused]
                if refused:
                    await self._on_refused(refused, reporter=id(records))
                    tries += 1
                    await wait(backoff(tries))
        finally:
            if tries:
                self._context.readiness.report("produce", None, by=id(records))

    def _to_produce(self, outcomes: Iterable[tuple[int, Record, Outcome]]) -> list[ProducerRecord]:
        """The records to produce. Each outcome comes with its record and the index of that in the batch."""
        prefix, produced = self._context.settings.kafka_topic_prefix, []
        for index, record, outcome in outcomes:
            for out in outcome.records:
                headers = self._headers(record, out) if record.headers or out.headers else self._build_header
                produced.append(ProducerRecord(index, prefix + out.topic, out.key, out.value, headers))
            if outcome.unknown_fields:
                self._note_unknown_fields(record.topic, outcome.unknown_fields)
            if isinstance(outcome, Poison):
                produced.append(self._dead_letter(index, record, outcome))
        return produced

    def _note_unknown_fields(self, topic: str, names: Sequence[str]) -> None:
        """Count a record with fields that no worker knows; a line a minute for each topic names them."""
        self._context.metrics.unknown_fields(topic)
        now = time.monotonic()
        if now - self._unknown_logged.get(topic, -UNKNOWN_LINE_SECONDS) >= UNKNOWN_LINE_SECONDS:
            self._unknown_logged[topic] = now
            metric = "vhm_unknown_fields_total"
            self._context.log.warning(
                "unknown fields are ignored", topic=topic, fields=list(names), metric=metric
            )

    def _headers(self, record: Record, out: Outgoing) -> HeaderList:
        passed_on = [header for header in record.headers if header[0] in PASSED_ON]
        return [*out.headers, *passed_on, *self._build_header]

    def _dead_letter(self, index: int, record: Record, poison: Poison) -> ProducerRecord:
        self._context.metrics.dead_letter(record.topic, poison.reason)
        self._context.log.warning(
            "dead letter", reason=poison.reason, errors=poison.errors[:5], **record_fields(record)
        )
        return envelope.dead_letter_record(index, record, poison, self._context.build)

    def _oversized(self, records: Sequence[Record], failure: DeliveryFailure) -> tuple[int, Record, Poison]:
        """The outcome of a record whose answer is larger than the broker takes."""
        index = failure.record.index
        size = len(failure.record.value or b"")
        text = f"{failure.record.topic} takes no record of {size} bytes: {describe(failure.error)}"
        answers = answers_to_failed(self._context, records[index], text)
        return index, records[index], Poison(reason="reply_too_large", errors=(text,), records=answers)

    async def _on_refused(self, failures: Sequence[DeliveryFailure], reporter: int) -> None:
        context = self._context
        for failure in failures:
            topic = failure.record.topic
            context.readiness.report("produce", f"{topic}: {describe(failure.error)}", by=reporter)
            context.on_kafka_error(failure.error)
        too_small = {failure.record.topic for failure in failures if failure.error.code() in TOO_LARGE}
        if context.settings.kafka_create_topics:
            for topic in sorted(too_small):
                await in_daemon_thread(topic_admin.raise_size_limit, topic, context.settings)


def _is_oversized_reply(failure: DeliveryFailure) -> bool:
    return failure.error.code() in TOO_LARGE and not failure.record.is_dead_letter
