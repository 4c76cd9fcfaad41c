"""The whole system in one process: three real workers, an embedded broker, an embedded store."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from vhm import embedding
from vhm.anchors import AnchorStore, Scope, StoreMismatchError, StoreUnavailableError, open_store
from vhm.anchors.listing import AnchorReader
from vhm.anchors.local.store import LocalStore
from vhm.anchors.reindex import reindex
from vhm.client.store_reader import StoreReader
from vhm.client.transport import Reader
from vhm.contract.env_loader import SettingsError, load
from vhm.contract.topics import GROUPS
from vhm.embedding import Embedder, EmbeddingUnavailableError, Vectors
from vhm.embedding_handler import OpenStore
from vhm.errors import UserError
from vhm.indexer.settings import Settings as IndexerSettings
from vhm.indexer.worker import Indexer
from vhm.resonance.settings import Settings as ResonanceSettings
from vhm.resonance.worker import Resonance
from vhm.reteller.settings import Settings as RetellerSettings
from vhm.reteller.worker import Reteller
from vhm.runtime import logs
from vhm.runtime.consumer import WorkerConsumer
from vhm.runtime.embedded_broker import EmbeddedBroker, forwarded
from vhm.runtime.handler import Handler
from vhm.runtime.http_server import PortInUseError
from vhm.runtime.settings import WorkerSettings
from vhm.runtime.worker import Worker

if TYPE_CHECKING:
    from vhm.gateway.settings import Settings as GatewaySettings
    from vhm.gateway.system_health import WorkerState
    from vhm.gateway.worker import Gateway

HOST = "127.0.0.1"
READY_SECONDS = 60.0
TICK_SECONDS = 0.05


class System:
    """Three workers on one event loop in a thread of their own; a context manager.

    With a folder the memories are kept there; without one they live in memory. `environment` may set what
    the workers read, except for the addresses, which are ours. `gateway`: with one, at
    `ports["api"]`; the other ports are those of the health pages. A free port is taken instead of one in use.
    `report` gets a line about what takes long. Raises UserError when it cannot start.
    """

    def __init__(
        self,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        *,
        gateway: bool = False,
        ports: Mapping[str, int] | None = None,
        broker_port: int = 0,
        log_level: str = "ERROR",
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._folder = folder
        self._environment = dict(environment or {})
        self._gateway = gateway
        self._ports = dict(ports or {})
        self._broker_port = broker_port
        self._log_level = log_level
        self._report = report
        self._thread = threading.Thread(target=self._run, name="vhm")
        self._up = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop
        self._ending: asyncio.Event
        self._store: AnchorStore
        self.reader: Reader = StoreReader(self._anchor_reader)
        """Reads what is stored."""
        self._workers: dict[str, Worker] = {}
        self.bootstrap = ""
        """Where clients find the broker: `host:port`."""
        self.url = ""
        """Where the gateway is; empty without one."""
        self.health: dict[str, str] = {}
        """Worker → address of its health pages."""

    def __enter__(self) -> System:
        self._thread.start()
        self._up.wait()
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
        """Whether every worker runs; False when one ended by itself."""
        return self._thread.is_alive()

    def count(self) -> int:
        """The number of memories of the owner ""."""
        return asyncio.run_coroutine_threadsafe(self._store.count(Scope("")), self._loop).result()

    @property
    def skipped(self) -> int:
        """How many records the broker dropped before they were consumed; more than 0 is a loss."""
        return sum(consumer.assignment.skipped for consumer in self._consumers())

    def worker_states(self) -> list[WorkerState]:
        """The state of each worker, for the gateway's health page."""
        from vhm.gateway.system_health import WorkerState

        states = []
        for name in GROUPS:
            status = self._workers[name].status
            lag = sum(status.consumer.assignment.lag().values()) if status.consumer else None
            states.append(WorkerState(name=name, members=1, lag=lag, reasons=status.ready()))
        return states

    def _backlog(self) -> int:
        return sum(sum(consumer.assignment.lag().values()) for consumer in self._consumers())

    def _consumers(self) -> list[WorkerConsumer]:
        return [worker.status.consumer for worker in self._workers.values() if worker.status.consumer]

    def _run(self) -> None:
        try:
            asyncio.run(self._live())
        except SettingsError as error:
            self._failure = UserError("; ".join(error.errors))
        except BaseException as error:  # whatever it is, the thread in __enter__ raises it
            self._failure = error
        finally:
            self._up.set()

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ending = asyncio.Event()
        logs.configure(self._log_level, None)
        broker = EmbeddedBroker()
        try:
            async with self._forwarded(broker.address) as address:
                self.bootstrap = address
                await self._work(broker.address)
        finally:
            broker.close()

    @contextlib.asynccontextmanager
    async def _forwarded(self, address: str) -> AsyncIterator[str]:
        """Forward the fixed port to the broker, or a free one where the fixed one is taken."""
        async with contextlib.AsyncExitStack() as stack:
            try:
                yield await stack.enter_async_context(
                    forwarded(address, self._broker_port, HOST, self._backlog)
                )
            except PortInUseError:
                yield await stack.enter_async_context(forwarded(address, 0, HOST, self._backlog))

    async def _work(self, bootstrap: str) -> None:
        url = f"local:{self._folder / 'store'}" if self._folder else f"local::memory:{uuid.uuid4()}"
        # on the embedded broker members join at once with it; classic takes three seconds
        given = {"KAFKA_GROUP_PROTOCOL": "consumer"} | self._environment
        given |= {"KAFKA_BOOTSTRAP_SERVERS": bootstrap, "QDRANT_URL": url}
        given.pop("KAFKA_BOOTSTRAP", None)
        indexer, resonance = load(IndexerSettings, given), load(ResonanceSettings, given)
        reteller = load(RetellerSettings, given)
        model = embedding.create(indexer)
        embedder = SharedEmbedder(model)
        opened = partial(open_store, indexer, embedder)
        self._store = await self._open(embedder, indexer, opened)
        handlers: list[tuple[Handler, WorkerSettings]] = [
            (Indexer(embedder, partial(opened, maintain=True)), indexer),
            (Resonance(resonance, embedder, opened), resonance),
            (Reteller(reteller), reteller),
        ]
        workers = {handler.name: self._worker(handler, settings) for handler, settings in handlers}
        self._workers = workers
        running = [asyncio.create_task(worker.run()) for worker in workers.values()]
        try:
            await self._until_ready(workers, running)
            if self._gateway:  # it reads topics that the others create
                gateway, settings = self._make_gateway(given)
                workers[gateway.name] = self._worker(gateway, settings)
                running.append(asyncio.create_task(workers[gateway.name].run()))
                await self._until_ready(workers, running)
                self.url = f"http://{HOST}:{gateway.port}"
            self.health = {name: f"http://{HOST}:{worker.port}" for name, worker in workers.items()}
            self._up.set()
            ending = asyncio.create_task(self._ending.wait())
            await asyncio.wait([ending, *running], return_when=asyncio.FIRST_COMPLETED)
            ending.cancel()
        finally:
            for worker in workers.values():
                worker.stop()
            await asyncio.gather(*running, return_exceptions=True)
            await self._store.close()
            await model.close()

    async def _open(self, embedder: Embedder, settings: IndexerSettings, opened: OpenStore) -> AnchorStore:
        """Load the model and open the store; memories embedded by another model are embedded again."""
        try:
            await embedder.open()
            try:
                return await opened()
            except StoreMismatchError as mismatch:
                self._report(f"{mismatch}: embedding all of it with {embedder.name} now …")
                done = await reindex(settings, embedder)
                self._report(f"{done.copied} memories embedded anew, {len(done.refused)} refused")
                return await opened()
        except (EmbeddingUnavailableError, StoreUnavailableError) as error:
            raise UserError(str(error)) from None

    def _make_gateway(self, environment: Mapping[str, str]) -> tuple[Gateway, GatewaySettings]:
        """A gateway on loopback, without keys unless GATEWAY_KEYS is set."""
        # imported here: a system without a gateway starts without them
        from vhm.gateway.keys import Keyring
        from vhm.gateway.settings import Settings as GatewaySettings
        from vhm.gateway.worker import Gateway

        given = {"GATEWAY_HOST": HOST, "GATEWAY_ALLOWED_HOSTS": f"localhost,{HOST}"}
        settings = load(GatewaySettings, {**given, **environment})
        keyring = Keyring(settings.keys.reveal()) if settings.keys is not None else None
        port = _free(self._ports.get("api", 0))
        return Gateway(
            settings, self.reader, keyring=keyring, port=port, workers=self.worker_states
        ), settings

    def _anchor_reader(self) -> AnchorReader:
        assert isinstance(self._store, LocalStore)  # noqa: S101  its address begins with local:
        return self._store

    def _worker(self, handler: Handler, settings: WorkerSettings) -> Worker:
        return Worker(handler, settings, host=HOST, port=_free(self._ports.get(handler.name, 0)))

    async def _until_ready(self, workers: dict[str, Worker], running: list[asyncio.Task[int]]) -> None:
        """Raises UserError with the workers' own reasons when one ends or is not ready in time."""
        until = self._loop.time() + READY_SECONDS
        while reasons := [
            f"{name}: {line}" for name, worker in workers.items() for line in worker.status.ready()
        ]:
            ended = [task for task in running if task.done()]
            for task in ended:
                task.result()  # raises what ended it, if it was a defect
            if ended or self._loop.time() > until:
                raise UserError("not ready: " + "; ".join(reasons))
            await asyncio.sleep(TICK_SECONDS)


class SharedEmbedder:
    """One model for two workers: loaded once, and closed by the system after both have ended."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._lock = asyncio.Lock()
        self._open = False
        self.name = embedder.name
        self.size = 0
        self.calibration = embedder.calibration

    async def open(self) -> None:
        """The first call loads the model; the others wait for it."""
        async with self._lock:
            if not self._open:
                await self._embedder.open()
                self.size = self._embedder.size
                self._open = True

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder`."""
        return await self._embedder.embed(texts)

    async def close(self) -> None:
        """Does nothing: another worker may still need the model."""


def _free(port: int) -> int:
    """`port` if it is free, else 0, which takes one that is. Before a worker listens there somebody else may
    take it; then the worker says so and ends."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return 0
    return port
