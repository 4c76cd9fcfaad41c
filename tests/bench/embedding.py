"""What embedding a text costs beside the bare library call. Run: uv run python tests/bench/embedding.py

CPU seconds of this process, so a busy machine changes little; the least of several rounds.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from hashlib import md5
from typing import Any

import httpx
import numpy as np
from rich.console import Console
from rich.table import Table

from vhm.embedding import minilm
from vhm.embedding.deterministic import DeterministicEmbedder
from vhm.embedding.ollama import OllamaEmbeddings
from vhm.embedding.remote import RemoteEmbedder

ROUNDS = 3
TALE = """we went to the sea with the children and it rained all day but nobody minded because there was
soup a fire old records and my sister told the story of the boat again on thursday in the harbour"""
MODEL = "nomic-embed-text:v1.5"
OPENING = """
import asyncio, resource, time
began = time.perf_counter()
from vhm.embedding.minilm import MiniLMEmbedder
async def life():
    model = MiniLMEmbedder()
    await model.open()
    await model.embed(["ready?"])
    pages = int(open("/proc/self/statm").read().split()[1])
    print(time.process_time(), time.perf_counter() - began, pages * resource.getpagesize() / 2**20)
    await model.embed(["word " * 2000] * 4)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
asyncio.run(life())
"""
SERVING = """
import asyncio
from embedding.server import Server
async def life():
    server = Server()
    await server.start()
    print(server.url, flush=True)
    await asyncio.Event().wait()
asyncio.run(life())
"""


def texts(count: int, words: int) -> list[str]:
    """Texts whose lengths vary around `words` by half, as people's do."""
    chance = random.Random(1)
    lengths = [chance.randint(words // 2, words * 3 // 2) for _ in range(count)]
    return [" ".join(chance.choices(TALE.split(), k=length)) for length in lengths]


def cost(runner: asyncio.Runner, work: Callable[[], object], count: int) -> float:
    """CPU seconds of one call, whether it is awaited or not, in a loop that is already running."""

    async def repeated() -> float:
        times = max(1, 32 // count)
        least = float("inf")
        for _ in range(ROUNDS):
            began = time.process_time()
            for _ in range(times):
                doing = work()
                if isinstance(doing, Coroutine):
                    await doing
            least = min(least, (time.process_time() - began) / times)
        return least

    return runner.run(repeated())


def bare_minilm(tokenizer: Any, session: Any, given: Sequence[str]) -> None:
    """The library calls as their manuals show them: the whole list as one padded batch."""
    encodings = tokenizer.encode_batch(list(given))
    ids = np.array([encoding.ids for encoding in encodings], np.int64)
    mask = np.array([encoding.attention_mask for encoding in encodings], np.int64)
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    hidden = session.run(None, inputs)[0]
    pooled = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
    pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)


def measure_minilm(table: Table, runner: asyncio.Runner) -> None:
    """The model in this process."""
    model = minilm.MiniLMEmbedder()
    runner.run(model.open())
    tokenizer, session = minilm._load()
    tokenizer.enable_truncation(256)
    tokenizer.enable_padding()
    for count, words in ((1, 10), (1, 50), (16, 10), (16, 50), (64, 50), (16, 150)):
        given = texts(count, words)
        ours = cost(runner, partial(model.embed, given), count)
        bare = cost(runner, partial(bare_minilm, tokenizer, session, given), count)
        row(table, f"minilm, {count} of {words} words", count, ours, bare)
    runner.run(model.close())


def measure_deterministic(table: Table, runner: asyncio.Runner) -> None:
    """The hash, beside the MD5s alone."""
    given = texts(256, 50)
    ours = cost(runner, partial(DeterministicEmbedder().embed, given), 256)
    bare = cost(runner, lambda: [md5(t.encode()).digest() for text in given for t in text.split()], 256)
    row(table, "deterministic, 256 of 50 words", 256, ours, bare)


def measure_remote(table: Table, runner: asyncio.Runner) -> None:
    """The client's side only: the server is another process."""
    given = texts(64, 50)
    request = {"model": MODEL, "input": given, "truncate": False}
    command = [sys.executable, "-c", SERVING]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": "tests"}) as server:
        assert server.stdout
        url = server.stdout.readline().strip()
        embedder, client = RemoteEmbedder(OllamaEmbeddings(MODEL, url)), httpx.AsyncClient()

        async def bare() -> None:
            answer = await client.post(f"{url}/api/embed", json=request)
            np.array(answer.json()["embeddings"], np.float32)

        runner.run(embedder.open())
        ours = cost(runner, partial(embedder.embed, given), 64)
        row(table, "ollama, 64 of 50 words, 768 numbers", 64, ours, cost(runner, bare, 64))
        runner.run(embedder.close())
        server.terminate()


def row(table: Table, name: str, count: int, ours: float, bare: float) -> None:
    """One line of the table."""
    table.add_row(name, f"{ours / count * 1e3:.3f}", f"{bare / count * 1e3:.3f}", f"{ours / bare:.2f}")


def main() -> None:
    """Measure and print."""
    console = Console()
    done = subprocess.run([sys.executable, "-c", OPENING], capture_output=True, text=True, check=True)
    cpu, wall, resident, peak = map(float, done.stdout.split())
    console.print(
        f"minilm, from a process's start to its first vector: {cpu:.2f} s CPU, {wall:.2f} s; "
        f"{resident:.0f} MiB resident, {peak:.0f} MiB at most with long texts"
    )
    table = Table("", "ms a text", "bare", "ratio", title="CPU time a text, and of the bare library call")
    with asyncio.Runner() as runner:
        measure_minilm(table, runner)
        measure_deterministic(table, runner)
        measure_remote(table, runner)
    console.print(table)


if __name__ == "__main__":
    main()
