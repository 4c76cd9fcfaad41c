"""A TCP proxy on loopback that spoils what it carries."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import socket
import struct
import threading

from broker.kafka import free_ports

ABORT = struct.pack("ii", 1, 0)
"""SO_LINGER so that closing sends a reset."""


class Fault(enum.Enum):
    """What can be wrong with a connection."""

    NONE = "passes everything on"
    DELAY = "slow: 0.2 s for each piece"
    CUT = "cut: nobody listens"
    RESET = "reset: accepted and thrown out"
    SILENT = "half-open: accepted, nothing passes"
    ONE_WAY = "half-open: no answer comes back"


class FaultyProxy:
    """Listens on `port` and carries everything to the port `to`, with the `fault` it was told last.

    A connection that was silent stays so when the fault is over: what it swallowed is missing, and only
    its owner's patience can end it."""

    def __init__(self, to: int, port: int | None = None) -> None:
        self.port = port or free_ports(1)[0]
        self.fault = Fault.NONE
        self._to = to
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.be(Fault.NONE)

    def be(self, fault: Fault) -> None:
        """Behave like that from now on, towards old and new connections."""
        asyncio.run_coroutine_threadsafe(self._be(fault), self._loop).result(10)

    def close(self) -> None:
        """Drop everything and stop listening."""
        self.be(Fault.CUT)
        asyncio.run_coroutine_threadsafe(self._finish(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _finish(self) -> None:
        carrying = asyncio.all_tasks() - {asyncio.current_task()}
        for each in carrying:
            each.cancel()
        await asyncio.gather(*carrying, return_exceptions=True)

    async def _be(self, fault: Fault) -> None:
        self.fault = fault
        if fault in (Fault.CUT, Fault.RESET):
            for writer in list(self._writers):
                self._drop(writer)
        if fault is Fault.CUT:
            if self._server is not None:
                self._server.close()
                self._server = None
        elif self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    def _drop(self, writer: asyncio.StreamWriter) -> None:
        if self.fault is Fault.RESET:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
        writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.fault is Fault.RESET:
            return self._drop(writer)
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            return writer.transport.abort()
        both = {writer, there_writer}
        self._writers |= both
        try:
            await asyncio.gather(
                self._pump(reader, there_writer, silent=(Fault.SILENT,)),
                self._pump(there_reader, writer, silent=(Fault.SILENT, Fault.ONE_WAY)),
            )
        finally:
            self._writers -= both
            for each in both:
                each.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, silent: tuple[Fault, ...]
    ) -> None:
        swallows = False
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                if self.fault is Fault.DELAY:
                    await asyncio.sleep(0.2)
                swallows = swallows or self.fault in silent
                if not swallows:
                    writer.write(data)
                    await writer.drain()
        if not swallows:
            writer.close()
