"""An app served on the worker's own event loop, until it is closed."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from litestar import Litestar


KEEP_ALIVE_SECONDS = 75
"""How long an idle connection is kept: longer than clients (5 s) and proxies (60 s) keep theirs, else one is
closed just as the next request is sent on it."""


class PortInUseError(Exception):
    """The port cannot be listened on; one line."""


def listen(host: str, port: int, variable: str = "HEALTH_PORT") -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises PortInUseError, which names the `variable` that
    chose the port."""
    # without the protocol's number asyncio leaves Nagle's algorithm on: 40 ms an answer
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        why = "in use" if error.errno == errno.EADDRINUSE else (error.strerror or str(error))
        raise PortInUseError(
            f"{variable}: cannot listen on {host}:{port}: {why}; choose another port"
        ) from None
    return listener


class HttpServer:
    """Serves `app` until closed. It handles no signals."""

    def __init__(
        self, app: Litestar, listener: socket.socket, *, lifespan: bool = False, grace_seconds: int = 1
    ) -> None:
        """`grace_seconds`: longest wait of `close` for requests that are being answered."""
        import uvicorn

        class Quiet(uvicorn.Server):
            @contextlib.contextmanager
            def capture_signals(self) -> Iterator[None]:
                yield  # else uvicorn stops at SIGTERM, before the worker has drained

        config = uvicorn.Config(
            app,
            lifespan="on" if lifespan else "off",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=grace_seconds,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            loop="none",
            ws="none",
        )
        self._server = Quiet(config)
        self._listener = listener
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when the app is being served."""
        self._task = asyncio.get_running_loop().create_task(self._server.serve(sockets=[self._listener]))
        while not (self._server.started or self._task.done()):  # noqa: ASYNC110  uvicorn has no event
            await asyncio.sleep(0.001)

    def stop(self) -> None:
        """Accept no further requests."""
        self._server.should_exit = True

    async def close(self) -> None:
        """Answer the requests already accepted, then stop serving."""
        self.stop()
        if self._task is not None:
            await self._task
