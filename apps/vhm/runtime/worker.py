"""A worker's life, in order: settings, logging, health pages, open, topics, consume, drain, close."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from vhm.contract import topics as graph
from vhm.contract.env_loader import EX_CONFIG, SettingsError, load
from vhm.contract.version import build
from vhm.runtime import kafka_config, logs
from vhm.runtime.broker_probe import UNSPECIFIC, BrokerProbe
from vhm.runtime.consumer import WorkerConsumer
from vhm.runtime.context import WorkerContext
from vhm.runtime.handler import Handler
from vhm.runtime.health import create_app
from vhm.runtime.http_server import HttpServer, PortInUseError, listen
from vhm.runtime.metrics import Metrics
from vhm.runtime.producer import RecordProducer
from vhm.runtime.readiness import Readiness
from vhm.runtime.settings import WorkerSettings
from vhm.runtime.startup import Startup
from vhm.runtime.status import WorkerStatus

EX_FAILED = 1
"""Exit code of a worker that cannot go on: a fatal client error, a port in use, a defect."""

ALL_INTERFACES = "0.0.0.0"  # noqa: S104  a pod's probes come from outside the pod

GC_THRESHOLDS = 20_000, 20, 20
"""Of Python's cycle collector. Records make no cycles, yet Python's own 700 allocations bring a collection
every 100 records, a sixth of the processor time of one that is only copied."""

CHECK_SECONDS = 1.0
"""Time between two checks of the worker by itself."""

HANDLER_ANSWER_SECONDS = 5.0
"""Longest wait for the handler's `not_ready`."""

UNACKNOWLEDGED_SECONDS = 5.0
"""Age at which a record that Kafka has not acknowledged makes the worker unready."""

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

    0: asked to stop, and stopped. 78: the environment is wrong, every fault is a line on stderr.
    1: cannot go on, the last log line says why. A second signal ends the process at once.
    """
    try:
        settings: WorkerSettings = load(settings_type, environment)
    except SettingsError as error:
        return _refuse(name, error)
    logs.configure(settings.log_level, settings.log_json)
    gc.set_threshold(*GC_THRESHOLDS)

    async def run() -> int:
        try:
            worker = Worker(make(settings), settings)
        except SettingsError as error:  # a library that a setting needs is not installed
            return _refuse(name, error)

        def stop() -> None:
            if worker.stopping:
                os._exit(128 + signal.SIGTERM)  # the second signal
            worker.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop)
        return await worker.run()

    return asyncio.run(run())


def _refuse(name: str, error: SettingsError) -> int:
    print(*(f"{name}: {line}" for line in error.errors), sep="\n", file=sys.stderr)
    return EX_CONFIG


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
        log = logs.logger(handler.name)
        self._context = WorkerContext(
            handler=handler,
            settings=settings,
            build=build(),
            log=log,
            metrics=Metrics(handler.name, build()),
            readiness=Readiness(log),
            on_kafka_error=self._on_kafka_error,
            on_defect=self._on_defect,
        )
        self._address = host, settings.health_port if port is None else port
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._stop_requested = asyncio.Event()
        self._failed = False
        self.status = WorkerStatus(self._context)
        self.port = self._address[1]
        """Port of the health pages; the real one once they are up."""

    @property
    def stopping(self) -> bool:
        """Whether a stop has begun."""
        return self._stop_requested.is_set()

    def stop(self) -> None:
        """Finish what is in flight, then end. Returns at once."""
        self.status.stage = "stopping"
        self._stop_requested.set()

    async def run(self) -> int:
        """The worker's whole life; returns its exit code."""
        context = self._context
        self._log.info("starting", build=context.build, reads=graph.reads(context.handler.name))
        config = kafka_config.producer_config(context.settings, context.handler.name)
        try:
            producer = Producer(config | {"error_cb": self._on_client_error})
        except KafkaException as error:
            self._log.critical(kafka_config.setup_line(error.args[0], context.settings))
            return EX_CONFIG
        try:
            listener = listen(*self._address)
        except PortInUseError as error:
            self._log.error(str(error))
            return EX_FAILED
        self.port = listener.getsockname()[1]
        pages = HttpServer(create_app(self.status), listener)
        await pages.start()
        self._producer = RecordProducer(context, producer)
        self._probe = BrokerProbe(context, producer)
        self._startup = Startup(context, producer, self._probe)
        turning = self._loop.create_task(self._note_loop_turns())
        try:
            await self._until_stopped(self._work())
            await self._close()
        finally:
            turning.cancel()
            await pages.close()
        self._log.info("stopped", failed=self._failed)
        return EX_FAILED if self._failed else 0

    async def _note_loop_turns(self) -> None:
        """Show that the loop runs, also while the worker waits for what it needs."""
        while True:
            self.status.last_loop_turn = time.monotonic()
            await asyncio.sleep(CHECK_SECONDS)

    async def _work(self) -> None:
        status = self.status
        status.stage = "opening what the work needs"
        await self._startup.open_handler()
        status.stage = "waiting for the topics"
        cluster = await self._startup.ensure_topics()
        if graph.reads(self._context.handler.name):
            status.stage = "waiting for the first poll"
            status.consumer = self._consume(cluster)
            while not status.consumer.poller.polls:
                self._check_clients()
                await asyncio.sleep(0.02)
        status.stage = None
        self._log.info("consuming" if status.consumer else "serving", health_port=self.port)
        while True:
            self._check_clients()
            await self._check_handler()
            await asyncio.sleep(CHECK_SECONDS)

    async def _close(self) -> None:
        self.status.stage = "stopping"
        seconds = self._context.settings.shutdown_timeout_seconds
        self._context.handler.drain(seconds)
        if self.status.consumer is not None:
            await self.status.consumer.close(seconds)
        self._probe.close()
        self._producer.close()
        await self._context.handler.close()

    async def _until_stopped(self, work: Coroutine[Any, Any, None]) -> None:
        """Do `work` until a stop is requested; an exception of `work` fails the worker."""
        working = self._loop.create_task(work)
        stop_requested = self._loop.create_task(self._stop_requested.wait())
        await asyncio.wait({working, stop_requested}, return_when=asyncio.FIRST_COMPLETED)
        stop_requested.cancel()
        working.cancel()
        await asyncio.wait({working})
        if not working.cancelled() and (defect := working.exception()) is not None:
            self._on_defect(defect)

    def _consume(self, cluster: str) -> WorkerConsumer:
        settings, name = self._context.settings, self._context.handler.name
        embedded = kafka_config.is_embedded(cluster)
        config = kafka_config.consumer_config(settings, name, embedded=embedded)
        consumer = Consumer(config | {"error_cb": self._on_client_error})
        return WorkerConsumer(self._context, consumer, self._producer, embedded=embedded)

    async def _check_handler(self) -> None:
        """Set the condition "handler" to the reasons that `not_ready` returns."""
        try:
            # wait_for of 3.11 may swallow the cancellation by a stop
            async with asyncio.timeout(HANDLER_ANSWER_SECONDS):
                reasons = await self._context.handler.not_ready()
        except TimeoutError:
            reasons = [f"has not said within {HANDLER_ANSWER_SECONDS:.0f} s whether it can work"]
        self._context.readiness.report("handler", "; ".join(reasons) or None)

    def _check_clients(self) -> None:
        consumer = self.status.consumer
        if consumer is not None and consumer.poller.crash is not None:
            self._on_defect(consumer.poller.crash)
        seconds = self._producer.oldest_unacknowledged
        late = f"Kafka has not acknowledged a record for {seconds:.0f} s"
        self._context.readiness.report(
            "broker", late if seconds > UNACKNOWLEDGED_SECONDS else None, by="acknowledgements"
        )

    def _on_client_error(self, error: KafkaError) -> None:
        """An error callback of librdkafka, on whatever thread polled."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._report_client_error, error)

    def _report_client_error(self, error: KafkaError) -> None:
        if not self._on_kafka_error(error):
            self._context.readiness.report("group", kafka_config.describe(error))

    def _on_kafka_error(self, error: KafkaError) -> bool:
        """See `WorkerContext.on_kafka_error`."""
        if kafka_config.is_fatal(error):
            self._fail(kafka_config.fatal_line(error, self._context.settings))
        elif error.code() in UNKNOWN_TOPIC:
            self._startup.recheck_topics()
        elif error.code() in UNSPECIFIC or error.code() in kafka_config.CONNECTION_ERRORS:
            self._probe.start(error)
        else:
            return False
        return True

    def _on_defect(self, defect: BaseException) -> None:
        """See `WorkerContext.on_defect`."""
        if not self._failed:
            self._log.error("defect", exc_info=defect)
        self._fail(f"the runtime failed: {defect!r}")

    def _fail(self, line: str) -> None:
        if not self._failed:
            self._failed = True
            self._log.critical(line)
            self.stop()
