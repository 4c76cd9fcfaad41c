"""What owners cost in one server collection: many small ones and a big one, beside a collection of each.

    uv run python tests/bench/owners.py --url URL [--owners 1000] [--small 100] [--big 100000] [--rounds 200]

Recalls go through the store, one at a time, with the vectors of `deterministic`; the ways take turns, so that
whatever else the machine does meets all of them. Prints one Markdown table, milliseconds. The collections are
deleted again.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Sequence

import msgspec
import numpy as np
from qdrant_client import QdrantClient
from recall_latency import BATCH, NOW, Named, Place, made_up, texts

from vhm import embedding
from vhm.anchors import Scope, open_store
from vhm.anchors.store import AnchorStore
from vhm.anchors.types import Query
from vhm.contract.messages import Anchor
from vhm.embedding import Embedder

SHARED, SMALL_ALONE, BIG_ALONE = (f"vhm-bench-owners-{name}" for name in ("shared", "small", "big"))


async def opened(url: str, collection: str) -> tuple[AnchorStore, Embedder]:
    """The store of a collection, and the model its vectors are made by."""
    settings = Place(url, collection, "deterministic").settings()
    embedder = embedding.create(settings)
    await embedder.open()
    return await open_store(settings, Named("deterministic", embedder.calibration)), embedder


async def fill(
    store: AnchorStore, embedder: Embedder, anchors: Sequence[Anchor], owners: Sequence[str]
) -> float:
    """Store anchors, each with its owner; the number stored a second."""
    began = time.perf_counter()
    for start in range(0, len(anchors), BATCH):
        part = [
            msgspec.structs.replace(anchor, owner=owner)
            for anchor, owner in zip(
                anchors[start : start + BATCH], owners[start : start + BATCH], strict=True
            )
        ]
        await store.add(part, await embedder.embed([anchor.text for anchor in part]))
    return len(anchors) / (time.perf_counter() - began)


async def recall(store: AnchorStore, embedder: Embedder, owner: str, question: str) -> tuple[float, int]:
    """Milliseconds of one recall, and its beats."""
    (vector,) = await embedder.embed([question])
    query = Query(scope=Scope(owner), vector=vector, text=question, now=NOW)
    began = time.perf_counter()
    (ranking,) = await store.recall([query])
    return (time.perf_counter() - began) * 1_000, len(ranking.beats)


async def measure(url: str, owners: int, small: int, big: int, rounds: int) -> None:
    """Fill, ask in turns, print."""
    anchors = made_up(owners * small + big)
    names = [f"owner-{number // small}" for number in range(owners * small)] + ["big"] * big
    shared, embedder = await opened(url, SHARED)
    rate = await fill(shared, embedder, anchors, names)
    few, many = anchors[:small], anchors[owners * small :]
    small_alone, _ = await opened(url, SMALL_ALONE)
    await fill(small_alone, embedder, few, ["owner-0"] * small)
    big_alone, _ = await opened(url, BIG_ALONE)
    await fill(big_alone, embedder, many, [""] * big)
    await asyncio.sleep(10)  # the server indexes what it was given
    ways = {
        f"an owner of {small:,} among {owners:,} others and one of {big:,}": (shared, "owner-0"),
        f"{small:,} in a collection of their own": (small_alone, "owner-0"),
        f"the owner of {big:,} among {owners:,} others": (shared, "big"),
        f'{big:,} of the owner "" in a collection of their own': (big_alone, ""),
        'the owner "", who has nothing there': (shared, ""),
    }
    took: dict[str, list[float]] = {way: [] for way in ways}
    questions = texts(np.random.default_rng(5), rounds + 5, 4, 12)
    for number, question in enumerate(questions):
        for way, (store, owner) in ways.items():
            milliseconds, _ = await recall(store, embedder, owner, question)
            if number >= 5:
                took[way].append(milliseconds)
    print(f"{rate:,.0f} stored a second\n\n| recall of | p50 ms | p95 ms |\n|---|--:|--:|")
    for way, times in took.items():
        print(f"| {way} | {np.percentile(times, 50):.1f} | {np.percentile(times, 95):.1f} |")
    began = time.perf_counter()
    count = await big_alone.count(Scope(""))
    took_ms = (time.perf_counter() - began) * 1_000
    print(f'\ncount of the owner "" among {big:,}: {count:,} in {took_ms:.1f} ms')
    for store in (shared, small_alone, big_alone):
        await store.close()
    client = QdrantClient(url=url, check_compatibility=False)
    for collection in client.get_collections().collections:
        if collection.name.startswith("vhm-bench-owners-"):
            client.delete_collection(collection.name)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--url", default=os.environ.get("QDRANT_URL"), required="QDRANT_URL" not in os.environ
    )
    parser.add_argument("--owners", type=int, default=1_000)
    parser.add_argument("--small", type=int, default=100)
    parser.add_argument("--big", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=200)
    given = parser.parse_args()
    asyncio.run(measure(given.url, given.owners, given.small, given.big, given.rounds))


if __name__ == "__main__":
    main()
