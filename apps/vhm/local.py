"""The whole system in one process: three real workers, an embedded broker, an embedded store."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from vhm import embedding
from vhm.anchors import AnchorStore
from vhm.contract.environment import Environment, SettingsError, load
from vhm.errors import UserError
from vhm.indexer.settings import Settings as IndexerSettings
from vhm.indexer.worker import Indexer
from vhm.resonance.settings import Settings as ResonanceSettings
from vhm.resonance.worker import Resonance
from vhm.reteller.settings import Settings as RetellerSettings
from vhm.reteller.worker import Reteller
from vhm.runtime import logs
from vhm.runtime.embedded import EmbeddedBroker, forwarded
from vhm.runtime.handler import Handler
from vhm.runtime.health import PortInUse
from vhm.runtime.settings import WorkerSettings
from vhm.runtime.worker import Worker

HOST = "127.0.0.1"
READY_SECONDS = 60.0
TICK_SECONDS = 0.05

S = TypeVar("S", bound=Environment)


class System:
    """Three workers on one event loop in a thread of their own; a context manager.

    With a folder the memories are kept there; without one they live in memory. `environment` may set what
    the workers read, except for the addresses, which are given. `ports` are wished for, and another one
    is taken where one is in use. Raises UserError when it cannot start.
    """

    def __init__(
        self,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        *,
        ports: Mapping[str, int] | None = None,
        broker_port: int = 0,
        log_level: str = "ERROR",
    ) -> None:
        self._folder = folder
        self._environment = dict(environment or {})
        self._ports = dict(ports or {})
        self._broker_port = broker_port
        self._log_level = log_level
        self._thread = threading.Thread(target=self._run, name="vhm")
        self._settled = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop
        self._ending: asyncio.Event
        self._store: _Kept
        self.bootstrap = ""
        """Where clients find the broker: `host:port`."""
        self.health: dict[str, str] = {}
        """Worker → address of its health pages."""

    def __enter__(self) -> System:
        self._thread.start()
        self._settled.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join()

    @property
    def running(self) -> bool:
        """Whether all of it is still there; False when a worker ended by itself."""
        return self._thread.is_alive()

    def count(self) -> int:
        """How many memories there are."""
        summary = asyncio.run_coroutine_threadsafe(self._store.summary(datetime.now(UTC), None), self._loop)
        return summary.result().total

    def _run(self) -> None:
        try:
            asyncio.run(self._live())
        except BaseException as error:  # whatever it was, the thread that waits must hear of it
            self._failure = error
        finally:
            self._settled.set()

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ending = asyncio.Event()
        logs.configure(self._log_level, None)
        broker = EmbeddedBroker()
        try:
            async with self._front_door(broker.address) as address:
                self.bootstrap = address
                await self._work(broker.address)
        finally:
            broker.close()

    @contextlib.asynccontextmanager
    async def _front_door(self, address: str) -> AsyncIterator[str]:
        """A fixed port that leads to the broker, or the broker's own where that one is taken."""
        async with contextlib.AsyncExitStack() as stack:
            try:
                yield await stack.enter_async_context(forwarded(address, self._broker_port, HOST))
            except PortInUse:
                yield await stack.enter_async_context(forwarded(address, 0, HOST))

    async def _work(self, bootstrap: str) -> None:
        where = "local::memory:" if self._folder is None else f"local:{self._folder / 'store'}"
        given = self._environment | {"KAFKA_BOOTSTRAP_SERVERS": bootstrap, "QDRANT_URL": where}
        given.pop("KAFKA_BOOTSTRAP", None)
        indexer, resonance = _load(IndexerSettings, given), _load(ResonanceSettings, given)
        reteller = _load(RetellerSettings, given)
        embedder = embedding.create(indexer)
        self._store = _Kept(indexer, embedder)
        handlers: list[tuple[Handler, WorkerSettings]] = [
            (Indexer(embedder, self._store), indexer),
            (Resonance(resonance, embedder, self._store), resonance),
            (Reteller(reteller), reteller),
        ]
        workers = {handler.name: self._worker(handler, settings) for handler, settings in handlers}
        running = [asyncio.create_task(worker.run()) for worker in workers.values()]
        try:
            await self._until_ready(workers, running)
            self.health = {name: f"http://{HOST}:{worker.port}" for name, worker in workers.items()}
            self._settled.set()
            ending = asyncio.create_task(self._ending.wait())
            await asyncio.wait([ending, *running], return_when=asyncio.FIRST_COMPLETED)
            ending.cancel()
        finally:
            for worker in workers.values():
                worker.stop()
            await asyncio.gather(*running, return_exceptions=True)
            await self._store.shut()

    def _worker(self, handler: Handler, settings: WorkerSettings) -> Worker:
        """On the wished port if it is free. Between here and the worker's start somebody else may take
        it; then the worker says so and ends."""
        port = self._ports.get(handler.name, 0)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                port = 0
        return Worker(handler, settings, host=HOST, port=port)

    async def _until_ready(self, workers: dict[str, Worker], running: list[asyncio.Task[int]]) -> None:
        """Raises UserError with the workers' own reasons when one ends, or none comes up in time."""
        until = self._loop.time() + READY_SECONDS
        while reasons := [
            f"{name}: {line}" for name, each in workers.items() for line in each.status.ready()
        ]:
            ended = [task for task in running if task.done()]
            for task in ended:
                task.result()  # raises what ended it, if it was a defect
            if ended or self._loop.time() > until:
                raise UserError("not ready: " + "; ".join(reasons))
            await asyncio.sleep(TICK_SECONDS)


class _Kept(AnchorStore):
    """One store for two workers: opened by the first, closed with the system."""

    def __init__(self, settings: IndexerSettings, embedder: embedding.Embedder) -> None:
        super().__init__(settings, embedder)
        self._lock = asyncio.Lock()
        self._open = False

    async def open(self) -> None:
        """As the first asks; the second finds it open."""
        async with self._lock:
            if not self._open:
                await super().open()
                self._open = True

    async def close(self) -> None:
        """Not yet: the other worker may still need it."""

    async def shut(self) -> None:
        """Now."""
        await super().close()


def _load(kind: type[S], environment: Mapping[str, str]) -> S:
    try:
        return load(kind, environment)
    except SettingsError as error:
        raise UserError("; ".join(error.errors)) from None
