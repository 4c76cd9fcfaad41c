"""A broker inside this process: librdkafka's mock cluster, which speaks the real protocol on loopback.

What it holds is gone when the process ends; while it lives it keeps the newest 5 MB of each partition.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from confluent_kafka import Producer

from vhm.runtime.http_server import PortInUseError

START_SECONDS = 10.0

BYTES_PER_SECOND = 10_000_000
"""Limit on what clients produce: a fifth of what our consumers fetch on two cores."""

BURST_SECONDS = 0.2

MAX_BACKLOG = 20_000
"""Records waiting to be handled from which producers are held back; 200 MB of the longest texts."""

SMALL_BYTES = 16_384
"""Largest produce request that passes despite a backlog: a question, not a load of memories."""

_BUFFER = 1_048_576
_PRODUCE = b"\0\0"
"""API key of a produce request, the first two bytes of a frame."""


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


Backlog = Callable[[], int]
"""The number of records waiting to be handled."""


@contextlib.asynccontextmanager
async def forwarded(
    address: str, port: int, host: str = "127.0.0.1", backlog: Backlog = lambda: 0
) -> AsyncIterator[str]:
    """Listen on a fixed port for all that clients say to the broker at `address`; yields `host:port`.

    The broker's answers name its own address, which is replaced by this one, so that clients stay. What
    they produce is passed on no faster than is surely fetched in time, and not at all while `backlog()` is
    above `MAX_BACKLOG`: a client is pushed back before the broker drops a record. Raises PortInUseError."""
    to_host, _, to_port = address.rpartition(":")
    pace = _Pace(backlog)
    connections: dict[asyncio.Task[None], list[asyncio.Task[None]]] = {}

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_connection(to_host, int(to_port), limit=_BUFFER)
        except OSError:
            writer.close()
            return
        mine = server.sockets[0].getsockname()[1]
        renamed = _named(to_host, int(to_port)), _named(to_host, mine)
        pumps = [
            asyncio.ensure_future(_pump(reader, there_writer, _paced(pace))),
            asyncio.ensure_future(_pump(there_reader, writer, _renaming(*renamed))),
        ]
        this = asyncio.current_task()
        assert this is not None  # noqa: S101 - for the type checker: a coroutine runs in a task
        connections[this] = pumps
        await asyncio.wait(pumps)
        del connections[this]

    try:
        server = await asyncio.start_server(forward, host, port, limit=_BUFFER)
    except OSError as error:
        raise PortInUseError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    async with server:
        yield f"{host}:{server.sockets[0].getsockname()[1]}"
        server.close()
        for pump in [pump for pumps in connections.values() for pump in pumps]:
            pump.cancel()
        if connections:  # asyncio complains of connections that outlive the loop
            await asyncio.wait(list(connections), timeout=1)


class _Pace:
    """The rate limit over all clients."""

    def __init__(self, backlog: Backlog) -> None:
        self._backlog = backlog
        self._paid_until = 0.0

    async def wait(self, size: int) -> None:
        """Until a request of `size` bytes fits the pace; a small one does not wait for the backlog."""
        while size > SMALL_BYTES and self._backlog() > MAX_BACKLOG:  # noqa: ASYNC110  a figure, not an event
            await asyncio.sleep(0.05)
        now = asyncio.get_running_loop().time()
        self._paid_until = max(self._paid_until, now) + size / BYTES_PER_SECOND
        if self._paid_until - now > BURST_SECONDS:
            await asyncio.sleep(self._paid_until - now - BURST_SECONDS)


_Frame = Callable[[bytes], Awaitable[bytes]]


def _paced(pace: _Pace) -> _Frame:
    async def pass_on(frame: bytes) -> bytes:
        if frame[:2] == _PRODUCE:
            await pace.wait(len(frame))
        return frame

    return pass_on


def _renaming(old: bytes, new: bytes) -> _Frame:
    async def pass_on(frame: bytes) -> bytes:
        return frame.replace(old, new)

    return pass_on


def _named(host: str, port: int) -> bytes:
    """A broker's address as every version of the protocol writes it: the host, then the port in 32 bits."""
    return host.encode() + port.to_bytes(4, "big")


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pass_on: _Frame) -> None:
    """Forward frame by frame: four bytes of length, then that many bytes."""
    try:
        while True:
            length = await reader.readexactly(4)
            frame = await pass_on(await reader.readexactly(int.from_bytes(length, "big")))
            writer.write(length + frame)
            await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()
