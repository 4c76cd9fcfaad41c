"""The ways in that README shows, as they stand there."""

from __future__ import annotations

import asyncio
import builtins
import json
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.types import TextContent

from vhm import Memory
from vhm.local import System

README = (Path(__file__).parents[2] / "README.md").read_text()
WAYS = README.partition("## Three ways in")[2].partition("\n## ")[0]
FACT = "I am vegetarian and I like lentils"


@pytest.fixture(scope="module")
def up() -> Iterator[System]:
    """What `vhm up` runs, with the model that it comes with."""
    with System(gateway=True) as system:
        yield system


@pytest.fixture
def memory(up: System, monkeypatch: pytest.MonkeyPatch) -> Iterator[Memory]:
    """Sam's memory, in which there is something from another conversation."""
    monkeypatch.setenv("VHM_URL", up.url)
    with Memory.connect() as memory:
        sam = memory.of("sam")
        sam.remember(FACT, session="chat-6", speaker="Sam").wait()
        yield sam


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", WAYS, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_chatbot_knows_what_was_said_in_another_conversation(
    memory: Memory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = block("python")
    assert len(lines.splitlines()) <= 20
    turns = iter(["what do I like to eat, as a vegetarian?", "my sister Nora plays the cello", ""])
    monkeypatch.setattr(builtins, "input", lambda _: next(turns))
    prompts: list[str] = []

    def llm(prompt: str) -> str:
        prompts.append(prompt)
        return f"answer {len(prompts)}"

    exec(compile(lines, "README.md", "exec"), {"llm": llm})
    printed = capsys.readouterr().out.splitlines()
    assert [line for line in printed if line.startswith("bot:")] == ["bot: answer 1", "bot: answer 2"]
    assert re.search(rf"^- \d{{4}}-\d\d-\d\d: {FACT}$", prompts[0], re.MULTILINE)
    said = {anchor.text: anchor.meta for anchor in memory.memories()}
    assert said["my sister Nora plays the cello"] == {"session": "chat-7", "speaker": "Sam"}


def test_the_requests_are_answered(up: System, memory: Memory) -> None:
    if shutil.which("curl") is None:
        pytest.skip("no curl here: apt-get install curl")
    remember, recall = re.findall(r"^\$ (curl .*)$", block("console"), re.MULTILINE)

    def ask(line: str) -> str:
        words = shlex.split(line.replace("http://localhost:8000", up.url))
        return subprocess.run([*words, "-sS"], capture_output=True, text=True, check=True).stdout

    (receipt,) = json.loads(ask(remember))["receipts"]
    until = time.monotonic() + 20
    while memory.get(receipt["anchor_id"]) is None:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert "I am allergic to peanuts" in [beat["text"] for beat in json.loads(ask(recall))["beats"]]


def test_a_model_s_host_finds_the_tools(up: System, memory: Memory) -> None:
    (server,) = json.loads(block("json"))["mcpServers"].values()
    environment = {**os.environ, "VHM_URL": up.url}
    parameters = StdioServerParameters(command=server["command"], args=server["args"], env=environment)

    async def use() -> list[str]:
        async with Client(stdio_client(parameters)) as client:
            assert "recall" in {tool.name for tool in (await client.list_tools()).tools}
            found = await client.call_tool("recall", {"question": "what do I like, as a vegetarian?"})
            other = await client.call_tool("recall", {"question": "anything", "owner": "ann"})
            assert other.is_error
            return [part.text for part in found.content if isinstance(part, TextContent)]

    assert FACT in asyncio.run(use())[0]
