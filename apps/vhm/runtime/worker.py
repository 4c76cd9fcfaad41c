"""A worker's life, in order: settings, logging, health, open, topics, consume, drain, close."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from vhm.contract import topics as graph
from vhm.contract.env_loader import EX_CONFIG, SettingsError, load
from vhm.runtime import kafka_config, logs
from vhm.runtime.broker_probe import UNSPECIFIC, BrokerProbe
from vhm.runtime.consumer import WorkerConsumer
from vhm.runtime.handler import Handler
from vhm.runtime.health import HealthServer, PortInUseError, listen
from vhm.runtime.metrics import Metrics
from vhm.runtime.producer import RecordProducer
from vhm.runtime.readiness import Readiness
from vhm.runtime.settings import WorkerSettings
from vhm.runtime.startup import Startup
from vhm.runtime.status import WorkerStatus
from vhm.runtime.version import build

EX_FAILED = 1
"""Exit code of a worker that cannot go on: a fatal client error, a port in use, a defect."""

ALL_INTERFACES = "0.0.0.0"  # noqa: S104  a pod's probes come from outside the pod

WATCH_SECONDS = 1.0
ASK_SECONDS = 5.0
UNANSWERED_SECONDS = 5.0
"""Between two looks at oneself; how long the handler may take to say how it is; how long a record may
wait for Kafka before we count as not ready."""

UNKNOWN_TOPIC = frozenset(
    {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION}
)


def main(
    name: str,
    settings_type: type[Any],
    make: Callable[[Any], Handler],
    environment: Mapping[str, str] = os.environ,
) -> int:
    """Run one worker as this process until SIGTERM or SIGINT; its exit code.

    0: told to stop, and stopped. 78: the environment is wrong, every fault is a line on stderr.
    1: cannot go on, the last log line says why. A second signal ends the process at once."""
    try:
        settings: WorkerSettings = load(settings_type, environment)
    except SettingsError as error:
        print(*(f"{name}: {line}" for line in error.errors), sep="\n", file=sys.stderr)
        return EX_CONFIG
    logs.configure(settings.log_level, settings.log_json)

    async def life() -> int:
        worker = Worker(make(settings), settings)

        def stop() -> None:
            if worker.stopping:
                os._exit(128 + signal.SIGTERM)  # asked twice: now
            worker.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop)
        return await worker.run()

    return asyncio.run(life())


async def run(
    handler: Handler,
    settings: WorkerSettings,
    *,
    stop: asyncio.Event | None = None,
    host: str = ALL_INTERFACES,
) -> int:
    """Run a worker inside this event loop until `stop` is set; its exit code, as `main`'s."""
    worker = Worker(handler, settings, host=host)
    running = asyncio.create_task(worker.run())
    asked = asyncio.create_task((stop or asyncio.Event()).wait())
    await asyncio.wait({running, asked}, return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    worker.stop()
    return await running


class Worker:
    """One worker inside a running event loop; several can live in one. It handles no signals."""

    def __init__(
        self,
        handler: Handler,
        settings: WorkerSettings,
        *,
        host: str = ALL_INTERFACES,
        port: int | None = None,
    ) -> None:
        """`port` of the health pages: HEALTH_PORT unless given; 0 takes a free one."""
        self._handler = handler
        self._settings = settings
        self._address = host, settings.health_port if port is None else port
        self._log = logs.logger(handler.name)
        self._readiness = Readiness(self._log)
        self._metrics = Metrics(handler.name, build())
        self._loop = asyncio.get_running_loop()
        self._ending = asyncio.Event()
        self._failed = False
        self.status = WorkerStatus(handler, settings, self._readiness, self._metrics)
        self.port = self._address[1]
        """Where the health pages are; the real one once they are up."""

    @property
    def stopping(self) -> bool:
        """Whether a stop has begun."""
        return self._ending.is_set()

    def stop(self) -> None:
        """Finish what is in flight, then end. Returns at once."""
        self.status.stage = "stopping"
        self._ending.set()

    async def run(self) -> int:
        """The whole life; returns the exit code."""
        self._log.info("starting", build=build(), reads=graph.reads(self._handler.name))
        config = kafka_config.producer_config(self._settings, self._handler.name)
        try:
            self._producer = Producer(config | {"error_cb": self._heard})
        except KafkaException as error:
            self._log.critical(kafka_config.setup_line(error.args[0], self._settings))
            return EX_CONFIG
        try:
            listener = listen(*self._address)
        except PortInUseError as error:
            self._log.error(str(error))
            return EX_FAILED
        self.port = listener.getsockname()[1]
        pages = HealthServer(self.status, listener)
        await pages.start()
        self._record_producer = RecordProducer(self._producer, self._loop, self._metrics)
        servers = self._settings.kafka_bootstrap_servers
        self._connection = BrokerProbe(self._producer, servers, self._readiness)
        self._opening = Startup(
            self._handler, self._producer, self._connection, self._readiness, self._settings
        )
        beating = self._loop.create_task(self._beat())
        try:
            await self._until_stopped(self._work())
            await self._end()
        finally:
            beating.cancel()
            await pages.stop()
        self._log.info("stopped", failed=self._failed)
        return EX_FAILED if self._failed else 0

    async def _beat(self) -> None:
        """Show that the loop has time, also while it waits for what the work needs."""
        while True:
            self.status.beat = time.monotonic()
            await asyncio.sleep(WATCH_SECONDS)

    async def _work(self) -> None:
        status = self.status
        status.stage = "opening what the work needs"
        await self._opening.handler()
        status.stage = "waiting for the topics"
        cluster = await self._opening.topics()
        status.stage = "waiting for the first poll"
        status.consuming = self._consume(cluster)
        while not status.consuming.poller.polls:
            self._look_after(status.consuming)
            await asyncio.sleep(0.02)
        status.stage = None
        self._log.info("consuming", health_port=self.port)
        while True:
            self._look_after(status.consuming)
            await self._ask_handler()
            await asyncio.sleep(WATCH_SECONDS)

    async def _end(self) -> None:
        self.status.stage = "stopping"
        seconds = self._settings.shutdown_timeout_seconds
        self._handler.drain(seconds)
        if self.status.consuming is not None:
            await self.status.consuming.end(seconds)
        self._connection.close()
        self._record_producer.close()
        await self._handler.close()

    async def _until_stopped(self, work: Coroutine[Any, Any, None]) -> None:
        """Do `work` until a stop is asked for; what it raises fails the worker."""
        working = self._loop.create_task(work)
        asked = self._loop.create_task(self._ending.wait())
        await asyncio.wait({working, asked}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        working.cancel()
        await asyncio.wait({working})
        if not working.cancelled() and (defect := working.exception()) is not None:
            self._on_defect(defect)

    def _consume(self, cluster: str) -> WorkerConsumer:
        settings, name = self._settings, self._handler.name
        config = kafka_config.consumer_config(settings, name, embedded=kafka_config.is_embedded(cluster))
        return WorkerConsumer(
            handler=self._handler,
            consumer=Consumer(config | {"error_cb": self._heard}),
            producer=self._record_producer,
            readiness=self._readiness,
            metrics=self._metrics,
            log=self._log,
            build=build(),
            release_seconds=settings.shutdown_timeout_seconds,
            on_error=self._on_error,
            on_refusal=self._looked_into,
            on_defect=self._on_defect,
        )

    async def _ask_handler(self) -> None:
        """What the handler says of itself, as a condition of its own."""
        try:
            async with asyncio.timeout(ASK_SECONDS):  # wait_for of 3.11 may swallow the stop's cancellation
                reasons = await self._handler.not_ready()
        except TimeoutError:
            reasons = [f"does not say within {ASK_SECONDS:.0f} s whether it can work"]
        self._readiness.report("handler", "; ".join(reasons) or None)

    def _look_after(self, consuming: WorkerConsumer) -> None:
        if consuming.poller.crash is not None:
            self._on_defect(consuming.poller.crash)
        waiting = self._record_producer.unanswered_seconds
        late = f"Kafka has not acknowledged a record for {waiting:.0f} s"
        self._readiness.report("broker", late if waiting > UNANSWERED_SECONDS else None, by="answers")

    def _heard(self, error: KafkaError) -> None:
        """An error callback of librdkafka, on whatever thread polled."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._on_error, error)

    def _on_error(self, error: KafkaError) -> None:
        if not self._looked_into(error):
            self._readiness.report("group", kafka_config.describe(error))

    def _looked_into(self, error: KafkaError) -> bool:
        """Whether it concerns the whole client, its topics or its connection; if so, that is seen to."""
        if kafka_config.is_fatal(error):
            self._fail(kafka_config.fatal_line(error, self._settings))
        elif error.code() in UNKNOWN_TOPIC:
            self._opening.look_at_topics()
        elif error.code() in UNSPECIFIC or error.code() in kafka_config.CONNECTION_ERRORS:
            self._connection.complain(error)
        else:
            return False
        return True

    def _on_defect(self, defect: BaseException) -> None:
        """Of ours, not of the handler: a partition would stand still unnoticed, so better end."""
        if not self._failed:
            self._log.error("defect", exc_info=defect)
        self._fail(f"the runtime failed: {defect!r}")

    def _fail(self, line: str) -> None:
        if not self._failed:
            self._failed = True
            self._log.critical(line)
            self.stop()
