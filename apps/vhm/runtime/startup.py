"""What must be there before a worker consumes: what its handler needs, and the topics."""

from __future__ import annotations

import asyncio

from confluent_kafka import Producer

from vhm.contract import topics as graph
from vhm.runtime import topic_admin
from vhm.runtime.broker_probe import BrokerProbe
from vhm.runtime.context import WorkerContext
from vhm.runtime.handler import UnavailableError
from vhm.runtime.retry import backoff
from vhm.runtime.threads import in_daemon_thread


class Startup:
    """Retries for as long as it takes, and reports meanwhile what is missing. Lives on the event loop."""

    def __init__(self, context: WorkerContext, producer: Producer, probe: BrokerProbe) -> None:
        self._handler = context.handler
        self._log = context.log
        self._readiness = context.readiness
        self._settings = context.settings
        self._producer = producer
        self._probe = probe
        self._rechecking: asyncio.Task[str] | None = None

    async def open_handler(self) -> None:
        """Returns when the handler is open."""
        tries = 0
        while True:
            try:
                await self._handler.open()
            except UnavailableError as error:
                self._readiness.report("open", str(error))
                tries += 1
                await asyncio.sleep(backoff(tries))
            else:
                return self._readiness.report("open", None)

    async def ensure_topics(self) -> str:
        """Returns the cluster's id, once the cluster answers and has the worker's topics."""
        prefix = self._settings.kafka_topic_prefix
        names = [prefix + name for name in graph.needs(self._handler.name)]
        tries = 0
        while True:
            try:
                cluster = await in_daemon_thread(topic_admin.ensure, self._producer, names, self._settings)
            except topic_admin.BrokerUnreachableError as error:
                self._probe.report_unreachable(str(error))
            except topic_admin.TopicsMissingError as error:
                self._probe.report_reachable()
                self._readiness.report("topics", str(error))
            else:
                self._probe.report_reachable()
                self._readiness.report("topics", None)
                for line in await in_daemon_thread(topic_admin.keep_for, names, self._settings, cluster):
                    self._log.warning("topics do not keep texts as long as set", detail=line)
                return cluster
            tries += 1
            await asyncio.sleep(backoff(tries))

    def recheck_topics(self) -> None:
        """A client misses a topic: ensure all of them in the background."""
        if self._rechecking is None or self._rechecking.done():
            self._rechecking = asyncio.get_running_loop().create_task(self.ensure_topics())
