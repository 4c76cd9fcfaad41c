"""Whether Kafka can be reached, found out by asking it as soon as a client complains."""

from __future__ import annotations

import asyncio

from confluent_kafka import KafkaError, KafkaException, Producer

from vhm.runtime.kafka_config import describe
from vhm.runtime.readiness import Readiness

ASK_SECONDS = 2.0
PAUSE_SECONDS = 1.0

UNSPECIFIC = frozenset(
    {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT, KafkaError.NETWORK_EXCEPTION}
)
"""Errors that only say that something is wrong; they never hide one that says what."""


class BrokerProbe:
    """Turns complaints of the clients into the condition "broker". Lives on the event loop."""

    def __init__(self, producer: Producer, servers: str, readiness: Readiness) -> None:
        self._producer = producer
        self._servers = servers
        self._readiness = readiness
        self._complaint: KafkaError | None = None
        self._asking: asyncio.Task[None] | None = None

    def complain(self, error: KafkaError) -> None:
        """A client met this error; see whether Kafka answers."""
        if self._complaint is None or error.code() not in UNSPECIFIC or self._complaint.code() in UNSPECIFIC:
            self._complaint = error
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().create_task(self._ask_until_answered())

    def unreachable(self, reason: str) -> None:
        """Nobody answered, for this reason unless a complaint gave a better one."""
        if self._complaint is not None:
            reason = describe(self._complaint)
        self._readiness.report("broker", f"Kafka at {self._servers} cannot be reached: {reason}")

    def reachable(self) -> None:
        """It answered."""
        self._complaint = None
        self._readiness.report("broker", None)

    def close(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.cancel()

    async def _ask_until_answered(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._producer.list_topics, timeout=ASK_SECONDS)
            except KafkaException as error:
                self.unreachable(describe(error.args[0]))
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                return self.reachable()
