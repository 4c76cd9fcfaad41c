"""How fast the store takes anchors in and answers recalls, beside the bare vector search under it.

    uv run python tests/bench/store.py [--count 10000] [--url URL] [--recalls 300] [--hybrid]

Without a URL the embedded store in a temporary folder is measured. A server's collection is deleted again.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import resource
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import numpy as np
from qdrant_client import AsyncQdrantClient

from vhm import embedding
from vhm.anchors import AnchorStore, Query, Scope, open_store
from vhm.contract.messages import Anchor
from vhm.contract.settings import EmbeddingSettings

BATCH = 256
WORDS = 4_000
NOW = datetime(2026, 11, 20, tzinfo=UTC)


def text(rng: np.random.Generator, length: int) -> str:
    """Words of a vocabulary as uneven as a language's."""
    return " ".join(f"w{min(int(rng.zipf(1.3)), WORDS)}" for _ in range(length))


def made_up(rng: np.random.Generator, count: int) -> list[Anchor]:
    """Ten years of memories in sessions of twenty."""
    return [
        Anchor(
            anchor_id=uuid.UUID(bytes=rng.bytes(16)),
            text=text(rng, 14),
            stored_at=NOW - timedelta(days=3650 * float(rng.random())),
            salience=float(rng.uniform(0.3, 2.5)),
            meta={"session": f"s{row // 20}"},
        )
        for row in range(count)
    ]


async def timed(times: int, call: Callable[[], Awaitable[object]]) -> str:
    """Percentiles of a call, ms."""
    await call()
    took = []
    for _ in range(times):
        started = time.perf_counter()
        await call()
        took.append(1000 * (time.perf_counter() - started))
    return " / ".join(f"{value:7.2f}" for value in np.percentile(took, [50, 95, 99]))


async def measure(count: int, url: str, collection: str, recalls: int, hybrid: bool) -> None:
    settings = EmbeddingSettings(
        kafka_bootstrap_servers="127.0.0.1:9",
        qdrant_url=url,
        qdrant_collection=collection,
        embedding_model="deterministic",
        hybrid_recall=hybrid,
    )
    embedder = embedding.create(settings)
    await embedder.open()
    store = await open_store(settings, embedder)
    rng = np.random.default_rng(7)
    anchors = made_up(rng, count)
    vectors = await embedder.embed([anchor.text for anchor in anchors])
    started = time.perf_counter()
    for start in range(0, count, BATCH):
        await store.add(anchors[start : start + BATCH], vectors[start : start + BATCH])
    print(f"{count:>8} anchors   {count / (time.perf_counter() - started):10.0f} stored a second")

    queries = [
        Query(scope=Scope(""), vector=vector, text=words, now=NOW, session_id=f"s{number}")
        for number, (words, vector) in enumerate(await asked(rng, embedder, 64))
    ]
    turn = iter(range(10**9))
    print(
        "                    recall ms p50 / p95 / p99 ",
        await timed(recalls, lambda: one(store, queries, turn)),
    )
    many = await timed(max(5, recalls // 16), lambda: store.recall(queries[:16]))
    print("                sixteen at once               ", many)
    print("              the bare vector search          ", await bare(settings, vectors, queries, recalls))
    await store.close()
    print(f"                resident MiB {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:10.0f}")


async def one(store: AnchorStore, queries: list[Query], turn: object) -> None:
    await store.recall([queries[next(turn) % len(queries)]])  # type: ignore[call-overload]


async def asked(
    rng: np.random.Generator, embedder: embedding.Embedder, count: int
) -> list[tuple[str, np.ndarray]]:
    words = [text(rng, 8) for _ in range(count)]
    return list(zip(words, await embedder.embed(words), strict=True))


async def bare(settings: EmbeddingSettings, vectors: np.ndarray, queries: list[Query], times: int) -> str:
    """The nearest ten by cosine and nothing else, from the same place."""
    if settings.qdrant_url.startswith("local:"):

        async def nearest() -> None:
            cosines = np.vecdot(vectors, queries[0].vector)
            np.argpartition(cosines, -min(10, len(cosines)))

        return await timed(times, nearest)
    client = AsyncQdrantClient(url=settings.qdrant_url, check_compatibility=False)
    vector = queries[0].vector.tolist()
    took = await timed(
        times,
        lambda: client.query_points(settings.qdrant_collection, query=vector, limit=10, with_vectors=True),
    )
    await client.delete_collection(settings.qdrant_collection)
    await client.close()
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--count", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--url", default=os.environ.get("QDRANT_URL"))
    parser.add_argument("--recalls", type=int, default=300)
    parser.add_argument("--hybrid", action="store_true", help="by words as well as by meaning")
    given = parser.parse_args()
    print(
        platform.processor() or platform.machine(), f"{os.cpu_count()} cores,", given.url or "embedded store"
    )
    for count in given.count:
        with tempfile.TemporaryDirectory() as folder:
            url = given.url or f"local:{folder}"
            asyncio.run(measure(count, url, f"vhm-bench-{uuid.uuid4()}", given.recalls, given.hybrid))


if __name__ == "__main__":
    main()
