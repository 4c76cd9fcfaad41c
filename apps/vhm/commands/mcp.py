"""`vhm mcp`: the memory as tools for a language model's program, over standard input and output."""

from __future__ import annotations

import asyncio
from typing import Any

from mcp.server.mcpserver import Context

from vhm import AsyncMemory, Refused
from vhm.gateway.mcp import create_server


def mcp(*, owner: str | None = None, url: str | None = None) -> int:
    """Offer the memory as tools (MCP) to the program that starts this one.

    Parameters
    ----------
    owner
        Whose memory; the model may then name no other. Without it the model names the owner.
    url
        A gateway to ask, as VHM_URL.
    """
    asyncio.run(_serve(AsyncMemory.connect(url), owner))
    return 0


async def _serve(memory: AsyncMemory, owner: str | None) -> None:
    def memory_of(_: Context[Any, Any], named: str | None, __: bool) -> AsyncMemory:
        if owner is not None and named not in (None, owner):
            raise Refused([f"this is the memory of {owner!r} alone"])
        return memory.of(owner if owner is not None else named or "")

    async with memory:
        await create_server(memory_of).run_stdio_async()
