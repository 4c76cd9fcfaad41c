"""What a server's recall by meaning and words finds of what an exhaustive one (the embedded store) does.

    uv run python tests/bench/recall_overlap.py --url URL [--count 10000] [--questions 200] [--keep]

Made-up memories as in recall_latency.py, by the model `deterministic`: whoever has conversations with
questions sees it on those, too, with recall_quality.py and its --url.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from pathlib import Path

import msgspec
import numpy as np
import structlog
from qdrant_client import QdrantClient

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "apps"), str(ROOT / "tests")]

from bench.recall_latency import BATCH, NOW, Place, fill, made_up, texts  # noqa: E402  path above
from vhm import embedding  # noqa: E402
from vhm.anchors import Query, Scope, open_store  # noqa: E402
from vhm.anchors.qdrant.recall import EXACT_BELOW  # noqa: E402

LIMITS = (3, 10)


async def compare(place: Place, count: int, questions: int) -> None:
    """Print a row for each limit."""
    await fill(place, count)
    model = embedding.create(place.settings())
    await model.open()
    memory = msgspec.structs.replace(place.settings(), qdrant_url="local::memory:overlap")
    exact = await open_store(memory, model)
    anchors = made_up(count)
    for start in range(0, count, BATCH):
        part = anchors[start : start + BATCH]
        await exact.add(part, await model.embed([anchor.text for anchor in part]))
    server = await open_store(place.settings(), model)
    await asyncio.sleep(1)  # it looks how many there are
    asked = texts(np.random.default_rng(5), questions, 4, 12)
    vectors = await model.embed(asked)
    for limit in LIMITS:
        shares = []
        for text, vector in zip(asked, vectors, strict=True):
            query = Query(scope=Scope(""), vector=vector, text=text, now=NOW, limit=limit)
            (wanted,), (found,) = await exact.recall([query]), await server.recall([query])
            ids = {beat.anchor_id for beat in wanted.beats}
            shares.append(len(ids & {beat.anchor_id for beat in found.beats}) / len(ids))
        how = "every vector compared" if count < EXACT_BELOW else "by the graph"
        print(f"| {count} | {how} | {limit} | {np.mean(shares):.3f} | {np.mean(np.array(shares) == 1):.3f} |")
    await server.close()
    await exact.close()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--url", default=os.environ.get("QDRANT_URL"))
    parser.add_argument("--count", type=int, nargs="+", default=[10_000])
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--keep", action="store_true", help="leave collections for the next run")
    given = parser.parse_args()
    if not given.url:
        parser.error("which server? give --url, or set QDRANT_URL")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    print("| anchors | server | beats | of the exact ones | all of them |\n|--:|---|--:|--:|--:|")
    for count in given.count:
        place = Place(given.url, f"vhm-bench-deterministic-{count}", "deterministic")
        asyncio.run(compare(place, count, given.questions))
        if not given.keep:
            client = QdrantClient(url=given.url, check_compatibility=False)
            client.delete_collection(place.collection)
            client.close()


if __name__ == "__main__":
    main()
