"""Whether Kafka can be reached: asked as soon as a client reports an error of its connection."""

from __future__ import annotations

import asyncio

from confluent_kafka import KafkaError, KafkaException, Producer

from vhm.runtime.context import WorkerContext
from vhm.runtime.kafka_config import describe

PROBE_SECONDS = 2.0
"""Longest wait for the answer to one probe."""

PAUSE_SECONDS = 1.0
"""Pause between two probes."""

UNSPECIFIC = frozenset(
    {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT, KafkaError.NETWORK_EXCEPTION}
)
"""Errors that do not say what is wrong; they never replace one that does."""


class BrokerProbe:
    """Turns connection errors of the clients into the condition "broker". Lives on the event loop."""

    def __init__(self, context: WorkerContext, producer: Producer) -> None:
        self._readiness = context.readiness
        self._servers = context.settings.kafka_bootstrap_servers
        self._producer = producer
        self._error: KafkaError | None = None
        self._probing: asyncio.Task[None] | None = None

    def start(self, error: KafkaError) -> None:
        """A client met `error`: probe until Kafka answers."""
        if self._error is None or error.code() not in UNSPECIFIC or self._error.code() in UNSPECIFIC:
            self._error = error
        if self._probing is None or self._probing.done():
            self._probing = asyncio.get_running_loop().create_task(self._probe_until_answered())

    def report_unreachable(self, reason: str) -> None:
        """Set the condition, with the clients' own error where that says more than `reason`."""
        if self._error is not None:
            reason = describe(self._error)
        self._readiness.report("broker", f"Kafka at {self._servers} cannot be reached: {reason}")

    def report_reachable(self) -> None:
        """Clear the condition."""
        self._error = None
        self._readiness.report("broker", None)

    def close(self) -> None:
        """Probe no more."""
        if self._probing is not None:
            self._probing.cancel()

    async def _probe_until_answered(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._producer.list_topics, timeout=PROBE_SECONDS)
            except KafkaException as error:
                self.report_unreachable(describe(error.args[0]))
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                return self.report_reachable()
