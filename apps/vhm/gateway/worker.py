"""The gateway as a worker: a connection to the system, and the app that is served on it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable, Sequence

from vhm.anchors.store import open_reader
from vhm.client.errors import Refused, Unavailable
from vhm.client.kafka import KafkaTransport
from vhm.client.store_reader import StoreReader
from vhm.client.transport import Reader
from vhm.gateway.app import create_app
from vhm.gateway.keys import Keyring
from vhm.gateway.limits import RateLimit
from vhm.gateway.services import Services
from vhm.gateway.sessions import Sessions
from vhm.gateway.settings import Settings
from vhm.gateway.system_health import GroupLag, SystemHealth, WorkerState
from vhm.runtime.handler import Outcome, Outgoing, Record, UnavailableError
from vhm.runtime.http_server import HttpServer, PortInUseError, listen

LAG_SECONDS = 5.0
"""Seconds between two readings of the indexer's lag."""


class Gateway:
    """See `runtime.handler.Handler`. It consumes nothing as a group; its requests come over HTTP."""

    name = "gateway"
    batch_size = 1
    max_batches = 1

    def __init__(
        self,
        settings: Settings,
        reader: Reader | None = None,
        *,
        keyring: Keyring | None = None,
        port: int | None = None,
        workers: Callable[[], Sequence[WorkerState]] | None = None,
    ) -> None:
        """`keyring` None: requests need no key. `port`: GATEWAY_PORT unless given; 0 takes a free one.
        `workers`: the states of the others, where they run in this process."""
        self._settings = settings
        secret = settings.session_secret
        self._services = Services(
            transport=KafkaTransport(settings, reader),
            keyring=keyring,
            requests=RateLimit(settings.requests_per_minute),
            most_lag=settings.max_lag,
            sessions=Sessions(keyring, secret.reveal() if secret is not None else None),
            health=SystemHealth(settings, workers),
            retention_hours=settings.kafka_topic_retention_hours,
        )
        self._server: HttpServer | None = None
        self._watch: asyncio.Task[None] | None = None
        self.port = settings.port if port is None else port
        """Where it listens; the real port once it is open."""

    async def open(self) -> None:
        """Connect to Kafka, then listen."""
        try:
            await self._services.transport.open()
        except (Unavailable, Refused) as error:
            raise UnavailableError(str(error)) from None
        settings = self._settings
        try:
            listener = listen(settings.host, self.port, "GATEWAY_PORT")
        except PortInUseError as error:
            await self._services.transport.close()
            raise UnavailableError(str(error)) from None
        self.port = listener.getsockname()[1]
        hosts = [name.strip() for name in settings.allowed_hosts.split(",") if name.strip()]
        app = create_app(self._services, hosts)
        grace = max(1, int(settings.shutdown_timeout_seconds / 2))
        self._server = HttpServer(app, listener, lifespan=True, grace_seconds=grace)
        await self._server.start()
        self._watch = asyncio.get_running_loop().create_task(self._watch_lag())

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        """See `Handler.handle`. Never called: no topic is read by the group `gateway`."""
        raise RuntimeError(f"the gateway reads no topic, got {len(records)} records")

    def failed(self, record: Record, error: str) -> Sequence[Outgoing]:  # noqa: ARG002 - see `Handler`
        """See `Handler`. Never called, as `handle`."""
        return ()

    async def not_ready(self) -> Sequence[str]:
        """See `Handler`. Never: a request can always be answered, if only with a 503 and its reason."""
        return ()

    def details(self) -> Sequence[str]:
        """See `Handler`. The address, the authentication and the indexer's lag."""
        services = self._services
        keys = "everybody may come in" if services.keyring is None else f"{len(services.keyring)} keys"
        return (f"port {self.port}", keys, f"indexer behind by {services.lag}")

    def drain(self, seconds: float) -> None:  # noqa: ARG002 - see `Handler`
        """See `Handler`. Accept no further requests; those accepted are answered."""
        if self._server is not None:
            self._server.stop()

    async def close(self) -> None:
        """Stop serving, then disconnect."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        if self._server is not None:
            await self._server.close()
        await self._services.transport.close()

    async def _watch_lag(self) -> None:
        lag = GroupLag(self._settings, "indexer")
        try:
            while True:
                behind = await asyncio.to_thread(lag.read)
                if behind is not None:
                    self._services.lag = behind
                await asyncio.sleep(LAG_SECONDS)
        finally:
            lag.close()


def make(settings: Settings) -> Gateway:
    """The gateway for these settings."""
    keys = settings.keys.reveal() if settings.keys is not None else ""
    reader = functools.cache(lambda: open_reader(settings))
    return Gateway(settings, StoreReader(reader), keyring=Keyring(keys))
