"""/mcp: the tools of `gateway.mcp` over streamable HTTP."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from litestar.types import Receive, Scope, Send

from vhm.client.errors import Refused
from vhm.client.memory import AsyncMemory
from vhm.gateway.keys import Principal
from vhm.gateway.services import services_of

if TYPE_CHECKING:
    from mcp.server.mcpserver import Context
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager


class ToolsEndpoint:
    """An MCP server that starts with the first request: its library takes a second to import."""

    def __init__(self) -> None:
        self._running: asyncio.Future[StreamableHTTPSessionManager] | None = None
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self._running is None:
            self._running = asyncio.get_running_loop().create_future()
            self._task = asyncio.get_running_loop().create_task(self._run(self._running))
        manager: Any = await asyncio.shield(
            self._running
        )  # its types for ASGI are Starlette's, not Litestar's
        await manager.handle_request(scope, receive, send)

    async def close(self) -> None:
        """End the server, if it was started."""
        self._closing.set()
        if self._task is not None:
            await self._task

    async def _run(self, running: asyncio.Future[StreamableHTTPSessionManager]) -> None:
        """The server's life, in a task of its own: its task group must be left by whoever entered it."""
        from mcp.server.transport_security import TransportSecuritySettings

        from vhm.gateway.mcp import create_server

        server = create_server(_memory_of)
        # Host and Origin are checked by the app for every route
        security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
        server.streamable_http_app(stateless_http=True, json_response=True, transport_security=security)
        async with server.session_manager.run():
            running.set_result(server.session_manager)
            await self._closing.wait()


def _memory_of(context: Context[Any, Any], owner: str | None, changes: bool) -> AsyncMemory:
    """The memory that a tool's call is about, if the caller's key opens it. Raises Refused."""
    request: Any = context.request_context.request
    principal: Principal = request.scope["user"]
    name = owner if owner is not None else principal.owner or ""
    if not (principal.may_write(name) if changes else principal.may_read(name)):
        raise Refused(["the key does not open this memory" + (" for changing" if changes else "")])
    return AsyncMemory(services_of(request.scope["litestar_app"]).transport, name)
