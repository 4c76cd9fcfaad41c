"""What the page takes: the first page of many memories, and a question beside the API's own time.

    uv run python tests/bench/page_latency.py [--memories N] [--rounds N]

One system in this process with the default model, asked over loopback by one client at a time. Prints one
Markdown table, milliseconds.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1])]

import httpx  # noqa: E402  path above

from gateway.serving import KEY, Served  # noqa: E402
from page import memories  # noqa: E402
from vhm import Memory  # noqa: E402
from vhm.local import System  # noqa: E402


def milliseconds(act: Callable[[], httpx.Response], rounds: int) -> tuple[float, float]:
    """Median and 95th percentile of `rounds` calls."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        act().raise_for_status()
        times.append((time.perf_counter() - began) * 1_000)
    return statistics.median(times), statistics.quantiles(times, n=20)[-1]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memories", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=100)
    given = parser.parse_args()
    print("| what | p50 ms | p95 ms |\n|---|--:|--:|")
    with System() as system, Served(system) as served, Memory.connect(served.url, key=KEY) as memory:
        many = memories.many("sam", given.memories)
        assert sum(1 for _ in memory.of("sam").remember_many(many)) == given.memories
        bearer = {"Authorization": f"Bearer {KEY}"}
        with httpx.Client(base_url=served.url, timeout=60) as client:
            token = re.search(r'name="token" value="([^"]+)"', client.get("/sign-in").text)
            assert token is not None
            client.post("/sign-in", data={"token": token[1], "key": KEY})
            question = "what did the log say about matter 40?"
            body = {"query": question, "explain": 20}
            acts: dict[str, Callable[[], httpx.Response]] = {
                f"first page of {given.memories:,}": lambda: client.get("/owners/sam"),
                "a page by text": lambda: client.get("/owners/sam", params={"text": "matter 40"}),
                "a question, by the API": lambda: client.post(
                    "/v1/owners/sam/recall", json=body, headers=bearer
                ),
                "a question, on the page": lambda: client.get(
                    "/owners/sam/ask", params={"question": question}
                ),
            }
            for name, act in acts.items():
                milliseconds(act, 3)
                middle, slow = milliseconds(act, given.rounds)
                print(f"| {name} | {middle:.1f} | {slow:.1f} |")


if __name__ == "__main__":
    main()
