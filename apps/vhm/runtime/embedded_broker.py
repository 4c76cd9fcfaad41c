"""A broker inside this process: librdkafka's mock cluster, which speaks the real protocol on loopback.

What it holds is gone when the process ends; while it lives it keeps the newest 5 MB of each partition.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from confluent_kafka import Producer

from vhm.runtime.health import PortInUseError

START_SECONDS = 10.0


class EmbeddedBroker:
    """One broker for the clients of this process and of others, until `close` or the end of the process."""

    def __init__(self) -> None:
        # no bootstrap server: librdkafka gives the client that carries the cluster its address
        self._carrier: Producer | None = Producer(
            {"test.mock.num.brokers": 1, "bootstrap.servers": "", "log_level": 0}
        )
        broker = next(iter(self._carrier.list_topics(timeout=START_SECONDS).brokers.values()))
        self.address = f"{broker.host}:{broker.port}"
        """Where it listens: `host:port`; the port differs at each start."""

    def close(self) -> None:
        """Stop the broker; what it held is gone."""
        self._carrier = None


@contextlib.asynccontextmanager
async def forwarded(address: str, port: int, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """Listen on a fixed port and forward connections to the broker at `address`; yields `host:port`.

    A client needs this for its first connection only, in which the broker names its own address.
    Raises PortInUseError.
    """
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
