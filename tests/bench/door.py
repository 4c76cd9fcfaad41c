"""What a recall takes by each way in, on one system and in turn: Kafka, HTTP, MCP.

    uv run python tests/bench/door.py [RECALLS]

The ways take turns, one question at a time, so that whatever else the machine does meets all of them. The
workers, the embedded broker and the gateway are in this process; stories are not asked for.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from vhm import AsyncMemory
from vhm.client.fields import anchor_of
from vhm.local import System

MEMORIES = 1_000
WARM_UP = 20

Ask = Callable[[str], Awaitable[object]]


async def measure(system: System, recalls: int) -> dict[str, list[float]]:
    """Way in → milliseconds of each recall."""
    environment = {"KAFKA_BOOTSTRAP_SERVERS": system.bootstrap}
    async with (
        AsyncMemory.connect(environment=environment) as kafka,
        AsyncMemory.connect(system.url) as http,
        Client(streamable_http_client(f"{system.url}/mcp")) as mcp,
    ):
        anchors = [anchor_of("", {"text": f"note {number} is about w{number}"}) for number in range(MEMORIES)]
        async for _ in kafka.remember_many(anchors):
            pass
        ways: dict[str, Ask] = {
            "Kafka": lambda question: kafka.recall(question, tell=False),
            "HTTP": lambda question: http.recall(question, tell=False),
            "MCP": lambda question: mcp.call_tool("recall", {"question": question}),
        }
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(WARM_UP + recalls):
            for name, ask in ways.items():
                began = time.perf_counter()
                await ask(f"what is w{number % MEMORIES} about?")
                if number >= WARM_UP:
                    taken[name].append((time.perf_counter() - began) * 1_000)
        return taken


def main() -> None:
    """Print p50 and p95 of each way, and their ratio to Kafka's."""
    recalls = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    with System(environment={"EMBEDDING_MODEL": "deterministic"}, gateway=True) as system:
        taken = asyncio.run(measure(system, recalls))
    quantiles = {name: statistics.quantiles(times, n=20) for name, times in taken.items()}
    print(f"{recalls} recalls each of {MEMORIES} memories\n")
    print("| way in | p50 ms | p95 ms | p50 / Kafka | p95 / Kafka |\n|---|--:|--:|--:|--:|")
    for name, parts in quantiles.items():
        p50, p95 = parts[9], parts[18]
        first = quantiles["Kafka"]
        print(f"| {name} | {p50:.1f} | {p95:.1f} | {p50 / first[9]:.2f} | {p95 / first[18]:.2f} |")


if __name__ == "__main__":
    main()
