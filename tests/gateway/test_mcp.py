"""The tools, as a model's program uses them: by the official client."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from httpx2 import AsyncClient
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, TextContent

from gateway.serving import ANNS_KEY, KEY, READING_KEY, SAMS_KEY, Served


def word() -> str:
    """A word that no other test has remembered."""
    return f"w{uuid.uuid4().hex[:12]}"


def talk(served: Served, key: str, work: Callable[[Client], Awaitable[None]]) -> None:
    """Do something with a client that holds that key."""

    async def live() -> None:
        async with (
            AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=30) as http,
            Client(streamable_http_client(f"{served.url}/mcp", http_client=http)) as client,
        ):
            await work(client)

    asyncio.run(live())


def said(result: CallToolResult) -> str:
    """The text of an answer."""
    return "\n".join(part.text for part in result.content if isinstance(part, TextContent))


def test_its_tools_are_described_with_flat_arguments(served: Served) -> None:
    async def look(client: Client) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert tools.keys() == {"remember", "recall", "forget", "list_memories"}
        for tool in tools.values():
            assert tool.description
            assert "context" not in tool.input_schema["properties"]
            for argument in tool.input_schema["properties"].values():
                assert argument.get("type") != "object"
                assert "$ref" not in json.dumps(argument)
        assert tools["recall"].input_schema["required"] == ["question"]
        assert tools["remember"].input_schema["required"] == ["text"]
        assert tools["recall"].annotations is not None
        assert tools["recall"].annotations.read_only_hint

    talk(served, SAMS_KEY, look)


def test_where_nothing_is_remembered_the_answer_says_so(served: Served) -> None:
    async def use(client: Client) -> None:
        answer = await client.call_tool("recall", {"question": "the roof", "owner": word()})
        assert "Nothing remembered" in said(answer)

    talk(served, KEY, use)


def test_what_is_remembered_is_recalled_and_listed(served: Served) -> None:
    about = word()

    async def use(client: Client) -> None:
        assert about not in said(await client.call_tool("recall", {"question": about}))
        arguments = {"text": f"{about} on the roof", "speaker": "Sam", "at": "2026-05-01T09:00:00Z"}
        stored = said(await client.call_tool("remember", arguments))
        assert stored.startswith("remembered as ")
        anchor_id = uuid.UUID(stored.rpartition(" ")[2])
        found = said(await client.call_tool("recall", {"question": about, "limit": 1}))
        assert found == f"- 2026-05-01 09:00: {about} on the roof (id {anchor_id})"
        assert found in said(await client.call_tool("list_memories", {"limit": 100}))
        later = {"question": about, "since": "2026-06-01T00:00:00Z"}
        assert about not in said(await client.call_tool("recall", later))

    talk(served, SAMS_KEY, use)


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("remember", {"text": "a"}),
        ("recall", {"question": "a"}),
        ("forget", {"session": "s"}),
        ("list_memories", {}),
    ],
)
def test_another_owner_s_memory_is_refused(served: Served, tool: str, arguments: dict[str, Any]) -> None:
    async def use(client: Client) -> None:
        result = await client.call_tool(tool, {**arguments, "owner": "sam"})
        assert result.is_error
        assert "the key does not open this memory" in said(result)

    talk(served, ANNS_KEY, use)


def test_a_key_for_reading_does_not_remember(served: Served) -> None:
    async def use(client: Client) -> None:
        result = await client.call_tool("remember", {"text": "a"})
        assert result.is_error
        assert "for changing" in said(result)
        assert not (await client.call_tool("list_memories", {})).is_error

    talk(served, READING_KEY, use)


def test_faults_are_what_the_model_is_told(served: Served) -> None:
    async def use(client: Client) -> None:
        result = await client.call_tool("remember", {"text": "a", "salience": 9})
        assert result.is_error
        assert "salience" in said(result)
        result = await client.call_tool("forget", {})
        assert result.is_error
        assert "exactly one of" in said(result)
        result = await client.call_tool("forget", {"anchor_id": "none"})
        assert result.is_error
        assert "anchor_id" in said(result)

    talk(served, KEY, use)


def test_a_wrong_key_is_not_let_in(served: Served) -> None:
    ask = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    accept = {"Accept": "application/json, text/event-stream"}
    for key in (SAMS_KEY + "x", ""):
        headers = {**accept, **({"Authorization": f"Bearer {key}"} if key else {})}
        assert httpx.post(f"{served.url}/mcp", json=ask, headers=headers).status_code == 401


@pytest.mark.parametrize("version", ["2025-03-26", "2025-06-18", "2025-11-25"])
def test_hosts_of_the_2025_protocol_are_answered(served: Served, version: str) -> None:
    headers = {"Authorization": f"Bearer {SAMS_KEY}", "Accept": "application/json, text/event-stream"}
    hello = {
        "protocolVersion": version,
        "capabilities": {},
        "clientInfo": {"name": "older", "version": "1"},
    }
    with httpx.Client(base_url=served.url, headers=headers, timeout=30) as host:
        body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
        assert host.post("/mcp", json=body).json()["result"]["protocolVersion"] == version
        host.headers["MCP-Protocol-Version"] = version
        ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        assert host.post("/mcp", json=ready).status_code == 202
        call = {"name": "recall", "arguments": {"question": word()}}
        body = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call}
        result = host.post("/mcp", json=body).json()["result"]
        assert "isError" not in result or result["isError"] is False
