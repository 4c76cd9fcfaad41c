"""How fast the indexer remembers: the whole worker through a broker, against its model and its store alone.

    uv run python tests/bench/indexer.py [--count 20000] [--minilm-count 3000] [--url URL]

Into the embedded store in a temporary folder, and into the Qdrant server of --url or QDRANT_URL if there is
one (its collections are deleted again). All in one run, on one broker, in batches as large as the worker's:
the bare store takes finished points (the client's upsert, or a transaction of the folder's database); our
store also stores words and sees to it that nothing that is there changes; the model embeds the same texts;
both in turn is what a loop without a broker does. Then a run of the worker under a sampler says where the
time goes: every 5 ms, what each thread is doing that is not waiting. Prints Markdown.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "apps"), str(ROOT / "tests"), str(Path(__file__).parent)]

import msgspec  # noqa: E402  path above
import numpy as np  # noqa: E402
from confluent_kafka import Producer  # noqa: E402
from qdrant_client import AsyncQdrantClient, models  # noqa: E402
from store import made_up  # noqa: E402

from broker.kafka import Kafka, free_ports  # noqa: E402
from runtime import reader, topics, usage  # noqa: E402
from vhm import embedding  # noqa: E402
from vhm.anchors import open_store  # noqa: E402
from vhm.anchors.local.database import Database, Point  # noqa: E402
from vhm.anchors.payload import from_anchor, to_payload  # noqa: E402
from vhm.client.kafka import key_of  # noqa: E402
from vhm.contract.messages import Anchor, encode  # noqa: E402
from vhm.contract.settings import EmbeddingSettings  # noqa: E402
from vhm.embedding.protocol import Vectors  # noqa: E402
from vhm.indexer.worker import Indexer  # noqa: E402
from vhm.runtime import logs  # noqa: E402

GROUP = Indexer.name
BATCH = Indexer.batch_size
SAMPLE_SECONDS = 0.005
WAITING = {
    ("selectors.py", "select"),
    ("threading.py", "wait"),
    ("threading.py", "_wait_for_tstate_lock"),
    ("thread.py", "_worker"),
    ("poller.py", "_take"),
    ("poller.py", "_poll_paused"),
}
"""Innermost functions of a thread with nothing to do; the poll thread waits inside the client."""


class Rates(NamedTuple):
    """Anchors a second, and what the whole worker needed for one."""

    bare: float
    store: float
    model: float
    both: float
    worker: float
    cpu_microseconds: float
    megabytes: float


async def alone(settings: EmbeddingSettings, anchors: list[Anchor]) -> tuple[float, float, float, float]:
    """Anchors a second of the bare store, of our store, of the model, and of one after the other."""
    embedder = embedding.create(settings)
    await embedder.open()
    store = await open_store(settings, embedder)
    batches = [anchors[start : start + BATCH] for start in range(0, len(anchors), BATCH)]
    await embedder.embed([anchor.text for anchor in batches[0]])
    began = time.perf_counter()
    vectors = [await embedder.embed([anchor.text for anchor in batch]) for batch in batches]
    embedded = time.perf_counter()
    for batch, each in zip(batches, vectors, strict=True):
        await store.add(batch, each)
    stored = time.perf_counter()
    bare = await seconds_bare(settings, batches, vectors)
    await store.close()
    await embedder.close()
    count = len(anchors)
    return count / bare, count / (stored - embedded), count / (embedded - began), count / (stored - began)


def payload(anchor: Anchor, settings: EmbeddingSettings) -> dict[str, Any]:
    """As the store keeps it."""
    return to_payload(from_anchor(anchor, None, None), settings.embedding_model)


async def seconds_bare(
    settings: EmbeddingSettings, batches: list[list[Anchor]], vectors: list[Vectors]
) -> float:
    """Seconds for the same points without a look at what is there."""
    if settings.qdrant_url.startswith("local:"):
        database = Database(Path(f"{settings.qdrant_url.removeprefix('local:')}-bare"))
        points = [
            [
                Point(str(anchor.anchor_id), payload(anchor, settings), vector)
                for anchor, vector in zip(batch, each, strict=True)
            ]
            for batch, each in zip(batches, vectors, strict=True)
        ]
        began = time.perf_counter()
        for batch in points:
            database.insert("bare", batch)
        seconds = time.perf_counter() - began
        database.close()
        return seconds
    client = AsyncQdrantClient(url=settings.qdrant_url, check_compatibility=False)
    name = f"{settings.qdrant_collection}-bare"
    size = vectors[0].shape[1]
    await client.create_collection(
        name, vectors_config=models.VectorParams(size=size, distance=models.Distance.COSINE)
    )
    began = time.perf_counter()
    for batch, each in zip(batches, vectors, strict=True):
        structs = [
            models.PointStruct(
                id=str(anchor.anchor_id),
                vector=vector.tolist(),
                payload=payload(anchor, settings),
            )
            for anchor, vector in zip(batch, each, strict=True)
        ]
        await client.upsert(name, structs, wait=True)
    seconds = time.perf_counter() - began
    await client.delete_collection(name)
    await client.close()
    return seconds


async def forget(settings: EmbeddingSettings) -> None:
    """Delete the collection of a server."""
    if settings.qdrant_url.startswith("local:"):
        return
    client = AsyncQdrantClient(url=settings.qdrant_url, check_compatibility=False)
    await client.delete_collection(settings.qdrant_collection)
    await client.close()


def write(bootstrap: str, anchors: list[Anchor], *, scattered: bool) -> None:
    """Fill anchors-write, keyed as our own clients do or by the ids of the anchors."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, "log_level": 0})
    for anchor in anchors:
        key = str(anchor.anchor_id).encode() if scattered else key_of(anchor)
        producer.produce("anchors-write", encode(anchor), key)
        producer.poll(0)
    producer.flush()


def start(settings: EmbeddingSettings, bootstrap: str, samples: Path | None) -> subprocess.Popen[bytes]:
    """The worker as a process, under the sampler if there is a file for what it finds."""
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "HEALTH_PORT": str(free_ports(1)[0]),
        "QDRANT_URL": settings.qdrant_url,
        "QDRANT_COLLECTION": settings.qdrant_collection,
        "EMBEDDING_MODEL": settings.embedding_model,
        "HYBRID_RECALL": str(settings.hybrid_recall).lower(),
        "INDEXER_LOG_LEVEL": "WARNING",
        "PYTHONPATH": str(ROOT / "apps"),
    }
    command = [sys.executable, __file__, "--be-the-worker", *([str(samples)] if samples else [])]
    return subprocess.Popen(command, env=os.environ | environment)


def whole(
    settings: EmbeddingSettings,
    bootstrap: str,
    anchors: list[Anchor],
    *,
    scattered: bool,
    samples: Path | None = None,
) -> tuple[float, float, float]:
    """Anchors a second through the worker, its CPU microseconds for one, and its resident megabytes. From
    the first answer on: what is before that is starting."""
    topics(bootstrap, GROUP, 3)
    write(bootstrap, anchors, scattered=scattered)
    process = start(settings, bootstrap, samples)
    try:
        consumer = reader(bootstrap, "anchors-indexed")
        seen = first = 0
        began = cpu = 0.0
        while seen < len(anchors):
            messages = consumer.consume(10_000, 0.1)
            seen += len(messages)
            if messages and not began:
                began, first = time.monotonic(), seen
                cpu, _ = usage(process.pid)
                if samples:
                    process.send_signal(signal.SIGUSR1)
        seconds = time.monotonic() - began
        after, megabytes = usage(process.pid)
        consumer.close()
        return (seen - first) / seconds, (after - cpu) / (seen - first) * 1e6, megabytes
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


class Kind(NamedTuple):
    """What is written: by which model, whether words are stored, anchors with sessions or without.
    `scattered`: keyed by their ids, as other programs may, so the turns of a session come in any order."""

    model: str
    hybrid: bool
    sessions: bool
    scattered: bool = False

    def __str__(self) -> str:
        words = "no sessions" if self.hybrid else "HYBRID_RECALL=false"
        if self.sessions:
            words = "sessions, scattered" if self.scattered else "sessions"
        return f"{self.model}, {words}"

    def of(self, anchors: list[Anchor]) -> list[Anchor]:
        """The anchors as this kind has them: with sessions the turns of each are a minute apart."""
        if not self.sessions:
            return [msgspec.structs.replace(anchor, meta={}) for anchor in anchors]
        first: dict[str, datetime] = {}
        turns = []
        for anchor in anchors:
            moment = first.setdefault(str(anchor.meta["session"]), anchor.stored_at)
            first[str(anchor.meta["session"])] = moment + timedelta(minutes=1)
            turns.append(msgspec.structs.replace(anchor, stored_at=moment))
        return turns


def place(bootstrap: str, url: str, kind: Kind) -> EmbeddingSettings:
    """A folder or a collection that nobody has used yet."""
    name = f"vhm-bench-{uuid.uuid4()}"
    return EmbeddingSettings(
        kafka_bootstrap_servers=bootstrap,
        qdrant_url=f"{url}/{name}" if url.startswith("local:") else url,
        qdrant_collection=name,
        embedding_model=kind.model,
        hybrid_recall=kind.hybrid,
    )


def measured(bootstrap: str, url: str, kind: Kind, anchors: list[Anchor]) -> Rates:
    """All rates of one kind into one store."""
    first, second = place(bootstrap, url, kind), place(bootstrap, url, kind)
    try:
        return Rates(
            *asyncio.run(alone(first, anchors)), *whole(second, bootstrap, anchors, scattered=kind.scattered)
        )
    finally:
        for settings in (first, second):
            asyncio.run(forget(settings))


class Sampler:
    """Counts, every 5 ms, what the threads of this process are doing, from SIGUSR1 on."""

    def __init__(self) -> None:
        self.counts: collections.Counter[str] = collections.Counter()
        self.looks = 0
        thread = threading.Thread(target=self._run, daemon=True)
        signal.signal(signal.SIGUSR1, lambda *_: thread.start())

    def _run(self) -> None:
        me = threading.get_ident()
        while True:
            time.sleep(SAMPLE_SECONDS)
            self.looks += 1
            for ident, frame in sys._current_frames().items():
                if ident != me and (what := _doing(frame)):
                    self.counts[what] += 1


def _doing(frame: FrameType) -> str | None:
    """Our innermost function, and below it what it is in; None for a thread that waits."""
    leaf = frame.f_code
    if (Path(leaf.co_filename).name, leaf.co_name) in WAITING:
        return None
    ours: FrameType | None = frame
    while ours is not None and "/apps/vhm/" not in ours.f_code.co_filename:
        ours = ours.f_back
    inner = f"{Path(leaf.co_filename).stem}.{leaf.co_name}"
    if ours is None:
        return inner
    place = Path(ours.f_code.co_filename).relative_to(ROOT / "apps").with_suffix("")
    outer = f"{'.'.join(place.parts)}.{ours.f_code.co_name}"
    return outer if ours is frame else f"{outer} → {inner}"


def be_the_worker(samples: Path | None) -> int:
    """Run the indexer in this process."""
    from vhm.indexer.settings import Settings
    from vhm.indexer.worker import make
    from vhm.runtime import worker

    sampler = Sampler() if samples else None
    code = worker.main(GROUP, Settings, make)
    if samples and sampler:
        samples.write_text(json.dumps({"looks": sampler.looks, "counts": sampler.counts}))
    return code


def profile(bootstrap: str, url: str, kind: Kind, anchors: list[Anchor]) -> Iterator[str]:
    """Where the time of the worker goes."""
    settings = place(bootstrap, url, kind)
    with tempfile.NamedTemporaryFile() as file:
        whole(settings, bootstrap, anchors, scattered=kind.scattered, samples=Path(file.name))
        found = json.loads(Path(file.name).read_text())
    asyncio.run(forget(settings))
    counts: dict[str, int] = found["counts"]
    yield f"| {kind}, {_store(url)}: at it | of the time |"
    yield "|---|--:|"
    for what, count in sorted(counts.items(), key=lambda pair: -pair[1])[:12]:
        yield f"| {what} | {count / found['looks']:.0%} |"


def _store(url: str) -> str:
    return "embedded store" if url.startswith("local:") else "Qdrant server"


def report(bootstrap: str, places: list[str], counts: dict[Kind, int], show: Callable[[str], None]) -> None:
    """The tables, line by line as they come."""
    rng = np.random.default_rng(7)
    anchors = made_up(rng, max(counts.values()))
    show(
        "| anchors/s | bare store | our store | model | one after the other "
        "| whole worker | of the bare store | of both | µs CPU | MB |"
    )
    show("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    for url in places:
        for kind, count in counts.items():
            r = measured(bootstrap, url, kind, kind.of(anchors[:count]))
            show(
                f"| {kind}, {_store(url)} | {r.bare:,.0f} | {r.store:,.0f} | {r.model:,.0f} | {r.both:,.0f} "
                f"| {r.worker:,.0f} | {r.worker / r.bare:.2f} | {r.worker / r.both:.2f} "
                f"| {r.cpu_microseconds:.0f} | {r.megabytes:.0f} |"
            )
    for url in places:
        for kind, count in counts.items():
            show("")
            for line in profile(bootstrap, url, kind, kind.of(anchors[:count])):
                show(line)


def main() -> None:
    """Print the report."""
    if sys.argv[1:2] == ["--be-the-worker"]:
        sys.exit(be_the_worker(Path(sys.argv[2]) if sys.argv[2:] else None))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000, help="anchors for deterministic")
    parser.add_argument("--minilm-count", type=int, default=3_000, help="anchors for minilm")
    parser.add_argument("--url", default=os.environ.get("QDRANT_URL"))
    given = parser.parse_args()
    logs.configure("WARNING", None)
    kafka = Kafka().start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            places = [f"local:{folder}", *([given.url] if given.url else [])]
            counts = {
                Kind("deterministic", hybrid=False, sessions=False): given.count,
                Kind("deterministic", hybrid=True, sessions=False): given.count,
                Kind("deterministic", hybrid=True, sessions=True): given.count,
                Kind("deterministic", hybrid=True, sessions=True, scattered=True): given.count,
                Kind("minilm", hybrid=True, sessions=True): given.minilm_count,
            }
            report(kafka.address, places, counts, lambda line: print(line, flush=True))
    finally:
        kafka.close()


if __name__ == "__main__":
    main()
