"""From a recall-request produced to its recall-response consumed, through the worker and a real broker.

    uv run python tests/bench/recall_latency.py [--count 1000 10000] [--url URL] [--models deterministic]
        [--rates 10 100] [--seconds 10] [--keep] [--bootstrap HOST:PORT]

Without a URL the embedded store in a temporary folder is measured. A server's collections are deleted again
unless they are to be kept: the next run finds them filled. Anchors carry the vectors of `deterministic`
whatever the model (a store does not care); questions are embedded by the model. In the same run: the bare
query, the nearest ten with their payload and nothing else, asked one after the other, and at each rate; the
ratio is to the bare query at the same rate, since a machine that idles between two questions answers both
later.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import msgspec
import numpy as np
import structlog

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "apps"), str(ROOT / "tests"), str(Path(__file__).parent)]

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition  # noqa: E402  path above
from qdrant_client import AsyncQdrantClient, QdrantClient  # noqa: E402

from broker.kafka import Kafka, free_ports  # noqa: E402
from runtime import topics  # noqa: E402
from vhm import embedding  # noqa: E402
from vhm.anchors import Scope, open_store  # noqa: E402
from vhm.anchors.local.database import Database  # noqa: E402
from vhm.contract.messages import Anchor  # noqa: E402
from vhm.contract.settings import EmbeddingSettings  # noqa: E402
from vhm.memory.tokenizer import STOP_WORDS  # noqa: E402

IN, OUT, GROUP = "recall-request", "recall-response", "resonance"
BATCH = 256
NOW = datetime(2026, 11, 20, tzinfo=UTC)
"""When the last memory is from, so that collections can be kept."""
TURNS = 20
PEOPLE = ("Ann", "Bob", "Carla", "Dora")
WORDS = [*sorted(word for word in STOP_WORDS if "'" not in word), *(f"w{n}" for n in range(20_000))]
_SHARE = 1 / (np.arange(len(WORDS)) + 2.7) ** 1.07
SHARES = np.cumsum(_SHARE / _SHARE.sum())
"""Words as uneven as a language's (Zipf and Mandelbrot), function words the commonest."""


def texts(rng: np.random.Generator, count: int, least: int, most: int) -> list[str]:
    """Made-up sentences of so many words."""
    lengths = rng.integers(least, most, size=count)
    words = iter(np.searchsorted(SHARES, rng.random(lengths.sum())))
    return [" ".join(WORDS[min(next(words), len(WORDS) - 1)] for _ in range(length)) for length in lengths]


def made_up(count: int) -> list[Anchor]:
    """Ten years of conversations, twenty turns each, half a minute apart; one in five of other salience."""
    rng = np.random.default_rng(7)
    said = texts(rng, count, 5, 40)
    began = 3650 * rng.random(count // TURNS + 1)
    saliences = np.where(rng.random(count) < 0.8, 1.0, rng.uniform(0.3, 2.5, size=count))
    return [
        Anchor(
            anchor_id=uuid.UUID(bytes=rng.bytes(16)),
            text=f"{PEOPLE[row % 2]}: {said[row]}",
            stored_at=NOW - timedelta(days=float(began[row // TURNS]), seconds=30 * (TURNS - row % TURNS)),
            salience=float(saliences[row]),
            meta={"session": f"s{row // TURNS}"},
        )
        for row in range(count)
    ]


class Place(msgspec.Struct, frozen=True):
    """A store to measure."""

    url: str
    collection: str
    model: str

    def settings(self) -> EmbeddingSettings:
        return EmbeddingSettings(
            kafka_bootstrap_servers="127.0.0.1:9",
            qdrant_url=self.url,
            qdrant_collection=self.collection,
            embedding_model=self.model,
        )


class Named(msgspec.Struct, frozen=True):
    """The vectors of `deterministic` under another model's name and calibration."""

    name: str
    calibration: embedding.Calibration
    size: int = 384


async def fill(place: Place, count: int) -> float:
    """Anchors stored a second; nan where they are there already."""
    settings = place.settings()
    hashed = embedding.create(msgspec.structs.replace(settings, embedding_model="deterministic"))
    await hashed.open()
    model = Named(place.model, embedding.create(settings).calibration)
    store = await open_store(settings, model)
    if await store.count(Scope("")) >= count:
        await store.close()
        return float("nan")
    anchors = made_up(count)
    began = time.perf_counter()
    for start in range(0, count, BATCH):
        part = anchors[start : start + BATCH]
        await store.add(part, await hashed.embed([anchor.text for anchor in part]))
    seconds = time.perf_counter() - began
    await store.close()
    return count / seconds


async def bare(place: Place, rate: int | None = None, times: int = 300) -> float:
    """Milliseconds (p50) of the nearest ten, at so many a second or one after the other; of the embedded
    store, of comparing every vector."""
    client: AsyncQdrantClient | None = None
    if place.url.startswith("local:"):
        columns = np.stack([point.vector for point in Database(Path(place.url[6:])).load(place.collection)])

        async def ask(vector: np.ndarray) -> None:
            np.argpartition(np.vecdot(columns, vector), -10)
    else:
        client = AsyncQdrantClient(
            url=place.url,
            check_compatibility=False,
            limits=httpx.Limits(keepalive_expiry=4),
            headers={"Accept-Encoding": "identity"},  # as the worker: compressed answers come 40 ms later
        )

        async def ask(vector: np.ndarray) -> None:
            assert client is not None
            await client.query_points(place.collection, query=vector.tolist(), limit=10)

    took = []
    due = time.perf_counter()
    for vector in np.random.default_rng(3).random((times, 384)).astype(np.float32):
        if rate is not None:
            due += 1 / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
        began = time.perf_counter()
        await ask(vector)
        took.append(time.perf_counter() - began)
    if client is not None:
        await client.close()
    return float(np.median(took) * 1000)


@contextmanager
def worker(place: Place, bootstrap: str) -> Iterator[int]:
    """The worker as a process; its pid."""
    given = {
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "QDRANT_URL": place.url,
        "QDRANT_COLLECTION": place.collection,
        "EMBEDDING_MODEL": place.model,
        "HEALTH_PORT": str(free_ports(1)[0]),
        "PYTHONPATH": str(ROOT / "apps"),
        "RESONANCE_LOG_LEVEL": "WARNING",
    }
    command = [sys.executable, "-c", "from vhm.cli import main; main()", "resonance"]
    process = subprocess.Popen(command, env=os.environ | given)
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def memory(pid: int, what: str) -> float:
    """MiB: VmRSS now, or VmHWM at most so far."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1024


class Ends(msgspec.Struct):
    """Producer and consumer around the worker."""

    producer: Producer
    consumer: Consumer
    questions: list[str]
    asked: int = 0

    def ask(self) -> bytes:
        """Produce the next question; the key its answer will have."""
        request_id = str(uuid.uuid4())
        text = self.questions[self.asked % len(self.questions)]
        request = {"query": text, "request_id": request_id, "session_id": f"s{self.asked % 97}"}
        self.producer.produce(IN, msgspec.json.encode(request), request_id.encode())
        self.producer.poll(0)
        self.asked += 1
        return request_id.encode()

    def measure(self, rate: int, seconds: float) -> list[float]:
        """Milliseconds of each answered request at a fixed rate."""
        sent: dict[bytes, float] = {}
        found: list[float] = []
        began = time.monotonic()
        total = int(rate * seconds)
        while len(found) < total and time.monotonic() < began + seconds + 10:
            now = time.monotonic()
            while len(sent) + len(found) < total and now >= began + (len(sent) + len(found)) / rate:
                sent[self.ask()] = time.monotonic()
            due = began + (len(sent) + len(found)) / rate - time.monotonic()
            answer = self.consumer.poll(max(0.0, min(0.01, due)))
            if answer is not None and answer.error() is None and (at := sent.pop(answer.key() or b"", None)):
                found.append((time.monotonic() - at) * 1000)
        return found


def measured(place: Place, bootstrap: str, rates: list[int], seconds: float) -> Iterator[str]:
    """A row for each rate."""
    topics(bootstrap, GROUP, 3)
    alone = asyncio.run(bare(place))
    paced = {rate: asyncio.run(bare(place, rate, min(300, rate * 10))) for rate in rates}
    with worker(place, bootstrap) as pid:
        producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})
        consumer = Consumer(
            {"bootstrap.servers": bootstrap, "group.id": "bench", "enable.auto.commit": False}
        )
        partitions = consumer.list_topics(OUT, timeout=10).topics[OUT].partitions
        consumer.assign([TopicPartition(OUT, p, OFFSET_BEGINNING) for p in partitions])
        path = Ends(producer, consumer, texts(np.random.default_rng(99), 256, 4, 12))
        answered = 0
        while answered < 50:  # until it answers at once; then its caches and the broker warm up
            for _ in range(10):
                path.ask()
            producer.flush(5)
            answered += len(consumer.consume(10, 1.0))
        time.sleep(1)
        consumer.consume(1_000, 0.5)
        path.measure(50, 15)
        for rate in rates:
            found = path.measure(rate, seconds)
            p50, p95, p99 = np.percentile(found, [50, 95, 99])
            resident, peak = memory(pid, "VmRSS"), memory(pid, "VmHWM")
            lost = int(rate * seconds) - len(found)
            yield (
                f"| {rate}/s | {p50:.1f} | {p95:.1f} | {p99:.1f} | {alone:.1f} | {paced[rate]:.1f} "
                f"| {p50 / paced[rate]:.1f} "
                f"| {resident:.0f} ({peak:.0f}) | {lost} |"
            )
        consumer.close()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--count", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--url", default=os.environ.get("QDRANT_URL"))
    parser.add_argument("--models", nargs="+", default=["deterministic"])
    parser.add_argument("--rates", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--keep", action="store_true", help="leave collections for the next run")
    parser.add_argument("--fill", action="store_true", help="fill them and stop")
    parser.add_argument("--bootstrap", help="a broker that is there; one is started if not given")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    own = None if given.bootstrap or given.fill else Kafka().start()
    bootstrap = given.bootstrap or (own.address if own else "")
    print(
        "| store | model | anchors | stored/s | rate | p50 ms | p95 | p99 | bare alone | bare at that rate "
        "| ratio | MiB (peak) |lost|"
    )
    print("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|", flush=True)
    try:
        for model in given.models:
            for count in given.count:
                with tempfile.TemporaryDirectory() as folder:
                    url = given.url or f"local:{folder}"
                    place = Place(url, f"vhm-bench-{model}-{count}", model)
                    stored = asyncio.run(fill(place, count))
                    kind = "server" if given.url else "embedded"
                    for row in () if given.fill else measured(place, bootstrap, given.rates, given.seconds):
                        print(f"| {kind} | {model} | {count} | {stored:.0f} {row}", flush=True)
                    if given.fill:
                        print(f"{place.collection}: {stored:.0f} stored a second", flush=True)
                    if given.url and not (given.keep or given.fill):
                        client = QdrantClient(url=url, check_compatibility=False)
                        client.delete_collection(place.collection)
                        client.close()
    finally:
        if own is not None:
            own.close()


if __name__ == "__main__":
    main()
