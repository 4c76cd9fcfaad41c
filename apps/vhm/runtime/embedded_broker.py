"""A broker inside this process: librdkafka's mock cluster, which speaks the real protocol on loopback.

It keeps nothing when the process ends, and at most 5 MB a partition while it lives.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from confluent_kafka import Producer

from vhm.runtime.health import PortInUseError

START_SECONDS = 10.0


class EmbeddedBroker:
    """One broker for every client of this process and others. Gone after `close`, or with the process."""

    def __init__(self) -> None:
        # no bootstrap server: the client that carries the cluster is told of it by librdkafka itself
        self._carrier: Producer | None = Producer(
            {"test.mock.num.brokers": 1, "bootstrap.servers": "", "log_level": 0}
        )
        broker = next(iter(self._carrier.list_topics(timeout=START_SECONDS).brokers.values()))
        self.address = f"{broker.host}:{broker.port}"
        """Where it listens: `host:port`, another one at each start."""

    def close(self) -> None:
        """Stop it; all it held is gone."""
        self._carrier = None


@contextlib.asynccontextmanager
async def forwarded(address: str, port: int, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """Listen on a fixed port for clients that want to find the broker at `address`; yields `host:port`.

    A client needs this for its first connection only: the broker then names its own address.
    Raises PortInUseError."""
    to_host, _, to_port = address.rpartition(":")

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_connection(to_host, int(to_port))
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))

    try:
        server = await asyncio.start_server(forward, host, port)
    except OSError as error:
        raise PortInUseError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    async with server:
        yield f"{host}:{server.sockets[0].getsockname()[1]}"


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
