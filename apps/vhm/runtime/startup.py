"""What must be there before a worker consumes: what its handler needs, and the topics."""

from __future__ import annotations

import asyncio

from confluent_kafka import Producer

from vhm.contract import topics as graph
from vhm.runtime import topic_admin
from vhm.runtime.broker_probe import BrokerProbe
from vhm.runtime.handler import Handler, UnavailableError
from vhm.runtime.readiness import Readiness
from vhm.runtime.retry import backoff
from vhm.runtime.settings import KafkaSettings
from vhm.runtime.threads import in_daemon_thread


class Startup:
    """Tries for as long as it takes, and says meanwhile what is missing. Lives on the event loop."""

    def __init__(
        self,
        handler: Handler,
        producer: Producer,
        connection: BrokerProbe,
        readiness: Readiness,
        settings: KafkaSettings,
    ) -> None:
        self._handler = handler
        self._producer = producer
        self._connection = connection
        self._readiness = readiness
        self._settings = settings
        self._looking: asyncio.Task[str] | None = None

    async def handler(self) -> None:
        """Returns when the handler has opened what it needs."""
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

    async def topics(self) -> str:
        """The cluster's id, once it answers and has the topics."""
        names = graph.needs(self._handler.name)
        tries = 0
        while True:
            try:
                cluster = await in_daemon_thread(topic_admin.ensure, self._producer, names, self._settings)
            except topic_admin.BrokerUnreachableError as error:
                self._connection.unreachable(str(error))
            except topic_admin.TopicsMissingError as error:
                self._connection.reachable()
                self._readiness.report("topics", str(error))
            else:
                self._connection.reachable()
                self._readiness.report("topics", None)
                return cluster
            tries += 1
            await asyncio.sleep(backoff(tries))

    def look_at_topics(self) -> None:
        """A client misses one: see to them in the background."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self.topics())
