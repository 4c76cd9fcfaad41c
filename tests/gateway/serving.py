"""A gateway that listens, for tests that come in from outside."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from types import TracebackType

import uvicorn

from vhm.client.kafka import KafkaTransport
from vhm.client.transport import Transport
from vhm.contract.env_loader import load
from vhm.contract.settings import Settings
from vhm.gateway.app import create_app
from vhm.gateway.keys import Keyring
from vhm.gateway.limits import RateLimit
from vhm.gateway.services import Services
from vhm.gateway.sessions import Sessions
from vhm.gateway.system_health import SystemHealth
from vhm.local import System
from vhm.runtime.http_server import listen

KEY = "a-key-to-every-memory-of-this-test"
SAMS_KEY = "a-key-to-the-memory-of-sam-alone--"
READING_KEY = "a-key-to-read-the-memory-of-sam---"
ANNS_KEY = "a-key-to-the-memory-of-ann-alone--"
KEYS = f"*={KEY}, sam={SAMS_KEY}, sam:read={READING_KEY}, ann={ANNS_KEY}"


class Served:
    """A gateway before `system`, on a free port of loopback, in a thread of its own."""

    def __init__(
        self,
        system: System,
        *,
        keys: str = KEYS,
        hosts: Sequence[str] = ("*",),
        per_minute: int = 1_000_000,
        lag: int = 0,
        transport: Transport | None = None,
    ) -> None:
        self._system = system
        self._keys = keys
        self._hosts = hosts
        self._per_minute = per_minute
        self._lag = lag
        self._transport = transport
        self._ready = threading.Event()
        self._socket = listen("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.bootstrap = system.bootstrap
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()), name="served")

    def __enter__(self) -> Served:
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join()

    async def _live(self) -> None:
        settings = load(Settings, {"KAFKA_BOOTSTRAP_SERVERS": self._system.bootstrap})
        transport = self._transport or KafkaTransport(settings, self._system.reader)
        await transport.open()
        keyring = Keyring(self._keys)
        services = Services(
            transport=transport,
            keyring=keyring,
            requests=RateLimit(self._per_minute),
            sessions=Sessions(keyring),
            health=SystemHealth(settings, self._system.worker_states),
            lag=self._lag,
        )
        config = uvicorn.Config(
            create_app(services, self._hosts),
            log_level="critical",
            ws="none",
            timeout_graceful_shutdown=10,
            timeout_keep_alive=75,
        )
        self._server = uvicorn.Server(config)
        serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        while not self._server.started:  # noqa: ASYNC110  uvicorn has no event
            await asyncio.sleep(0.01)
        self._ready.set()
        await serving
        await transport.close()
