"""An app served on the worker's own event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from vhm.runtime.http_server import PortInUseError, listen


def test_answers_are_not_held_back_for_an_acknowledgement() -> None:
    async def served() -> int:
        nodelay: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted: socket.socket = writer.get_extra_info("socket")
            nodelay.set_result(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listener = listen("127.0.0.1", 0)
        async with await asyncio.start_server(connected, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            found = await nodelay
            writer.close()
        return found

    assert asyncio.run(served()) != 0


def test_a_port_in_use_is_named_with_its_variable() -> None:
    with contextlib.closing(listen("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        with pytest.raises(PortInUseError, match=f"GATEWAY_PORT: cannot listen on 127.0.0.1:{port}: in use"):
            listen("127.0.0.1", port, "GATEWAY_PORT")
