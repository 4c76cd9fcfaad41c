"""From outcomes to acknowledged records, dead letters among them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError

from vhm.runtime.dead_letters import envelope
from vhm.runtime.handler import Outcome, Outgoing, Poison, Record
from vhm.runtime.kafka_config import describe
from vhm.runtime.log_context import log_context
from vhm.runtime.metrics import Metrics
from vhm.runtime.producer import DeliveryFailure, HeaderList, ProducerRecord, RecordProducer
from vhm.runtime.readiness import Readiness
from vhm.runtime.retry import Wait, backoff

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

TOO_LARGE = frozenset(
    {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE, KafkaError.INVALID_MSG_SIZE}
)

Done = Callable[[Iterable[int]], None]


class Delivery:
    """Produces what outcomes lead to, until Kafka has taken every record of it."""

    def __init__(
        self,
        producer: RecordProducer,
        readiness: Readiness,
        metrics: Metrics,
        log: FilteringBoundLogger,
        build: str,
        on_refusal: Callable[[KafkaError], object],
    ) -> None:
        self._record_producer = producer
        self._readiness = readiness
        self._metrics = metrics
        self._log = log
        self._build = build
        self._on_refusal = on_refusal
        self._headers: HeaderList = [(envelope.BUILD, build.encode())]

    async def deliver(
        self, records: Sequence[Record], outcomes: Sequence[Outcome], wait: Wait, done: Done
    ) -> None:
        """Call `done` with the indices of records as soon as all they led to is acknowledged.

        What Kafka refuses is tried again after `wait`, which may raise to give up."""
        records_out = self._sendings(records, outcomes)
        undone = set(range(len(records)))
        tries = 0
        try:
            while True:
                failures = await self._record_producer.send(records_out)
                failed = {failure.sending.index for failure in failures}
                done(sorted(undone - failed))
                undone = failed
                if not undone:
                    return
                self._metrics.refused.inc(len(failures))
                records_out, refused = self._instead(records, failures)
                if refused:
                    tries += 1
                    await wait(backoff(tries))
        finally:
            if tries:
                self._readiness.report("produce", None, by=id(records))

    def _sendings(self, records: Sequence[Record], outcomes: Sequence[Outcome]) -> list[ProducerRecord]:
        records_out: list[ProducerRecord] = []
        for index, outcome in enumerate(outcomes):
            record = records[index]
            for outgoing in outcome.records:
                headers = self._headers_of(record, outgoing)
                records_out.append(
                    ProducerRecord(index, outgoing.topic, outgoing.key, outgoing.value, headers)
                )
            if isinstance(outcome, Poison):
                records_out.append(self._dead(index, record, outcome))
        return records_out

    def _headers_of(self, record: Record, outgoing: Outgoing) -> HeaderList:
        trace = record.header("traceparent") if record.headers else None
        if trace is None and not outgoing.headers:
            return self._headers
        passed = [("traceparent", trace)] if trace is not None else []
        return [*outgoing.headers, *passed, *self._headers]

    def _dead(self, index: int, record: Record, poison: Poison) -> ProducerRecord:
        self._metrics.dead_letter(record.topic, poison.reason)
        self._log.warning(
            "dead letter", reason=poison.reason, errors=poison.errors[:5], **log_context(record)
        )
        return envelope.sending(index, record, poison, self._build)

    def _instead(
        self, records: Sequence[Record], failures: Sequence[DeliveryFailure]
    ) -> tuple[list[ProducerRecord], bool]:
        """What to produce in place of what was refused, and whether to wait before that."""
        records_out: list[ProducerRecord] = []
        refused = False
        for failure in failures:
            sending, error = failure.sending, failure.error
            too_large = error.code() in TOO_LARGE
            halves = envelope.halves(sending) if too_large and sending.is_dead_letter else []
            if too_large and not sending.is_dead_letter:
                text = (
                    f"{sending.topic} takes no record of {len(sending.value or b'')} bytes: {describe(error)}"
                )
                poison = Poison(reason="reply_too_large", errors=(text,))
                records_out.append(self._dead(sending.index, records[sending.index], poison))
            elif halves:
                records_out += halves
            else:
                self._readiness.report("produce", f"{sending.topic}: {describe(error)}", by=id(records))
                self._on_refusal(error)
                records_out.append(sending)
                refused = True
        return records_out, refused
