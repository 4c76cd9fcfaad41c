"""One process that copies recall-response to retell-response.

contender.py plain | careful | naive | runtime
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

IN, OUT, GROUP = "recall-response", "retell-response", "reteller"

running = True


def stop(_: int, __: FrameType | None) -> None:
    """SIGTERM."""
    global running
    running = False


def clients() -> tuple[Consumer, Producer]:
    """As anybody would configure them who wants nothing lost."""
    common = {"bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"]}
    consumer = Consumer(
        {
            **common,
            "group.id": GROUP,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "session.timeout.ms": 6_000,
        }
    )
    consumer.subscribe([IN])
    return consumer, Producer({**common, "enable.idempotence": True, "acks": "all", "linger.ms": 1})


def plain() -> None:
    """Batched: take what is there, produce it, flush, commit. Delivery reports are not looked at: a record
    that the broker refuses is lost, and its offset committed."""
    batched()


def careful() -> None:
    """As `plain`, and nothing is lost, as the runtime promises: a refused record ends the process before its
    offset is committed."""

    def on_delivery(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            sys.exit(error.str())

    batched(on_delivery)


def batched(on_delivery: Callable[[KafkaError | None, Message], None] | None = None) -> None:
    """Take what is there, produce it, flush, commit; until a stop."""
    consumer, producer = clients()
    while running:
        messages = [m for m in consumer.consume(2_000, 0.05) if m.error() is None]
        for message in messages:
            producer.produce(
                OUT,
                message.value(),
                message.key(),
                on_delivery=on_delivery,
                headers=[("vhm-build", b"bench")],
            )
        if messages:
            producer.flush()
            ends = {(m.topic(), m.partition()): m.offset() + 1 for m in messages}  # type: ignore[operator]
            consumer.commit(
                offsets=[TopicPartition(t or "", p or 0, o) for (t, p), o in ends.items()], asynchronous=True
            )
    consumer.close()


def naive() -> None:
    """One at a time: produce, flush, commit and wait for it."""
    consumer, producer = clients()
    while running:
        message = consumer.poll(0.1)
        if message is not None and message.error() is None:
            producer.produce(OUT, message.value(), message.key(), headers=[("vhm-build", b"bench")])
            producer.flush()
            consumer.commit(message=message, asynchronous=False)
    consumer.close()


def runtime() -> None:
    """The runtime with a handler that answers every record with itself."""
    from vhm.reteller.settings import Settings
    from vhm.runtime import worker
    from vhm.runtime.handler import Outcome, Outgoing, Record, Reply

    class Copy:
        name = GROUP
        batch_size = int(os.environ.get("BENCH_BATCH", "500"))
        max_batches = int(os.environ.get("BENCH_WINDOW", "4"))

        async def open(self) -> None: ...

        async def handle(self, records: Sequence[Record]) -> list[Outcome]:
            return [
                Reply((Outgoing(topic=OUT, key=record.key or b"", value=record.value or b""),))
                for record in records
            ]

        def failed(self, record: Record, error: str) -> Sequence[Outgoing]:
            return ()

        async def not_ready(self) -> list[str]:
            return []

        def details(self) -> Sequence[str]:
            return ()

        def drain(self, seconds: float) -> None: ...

        async def close(self) -> None: ...

    sys.exit(worker.main(GROUP, Settings, lambda _: Copy()))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    {"plain": plain, "careful": careful, "naive": naive, "runtime": runtime}[sys.argv[1]]()
