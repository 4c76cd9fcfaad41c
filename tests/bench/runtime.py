"""What the runtime costs: against loops written by hand, on the same broker, in the same run.

    uv run python tests/bench/runtime.py [--quick] [--bootstrap HOST:PORT]

(a) the plain client loop, batched: what the client library can do, though it loses what the broker refuses;
(b) the careful loop: the same with delivery reports, at least once as the runtime; (c) the naive loop: flush
and synchronous commit a message; (d) produce only, consume only. Each contender is a process of its own and
copies recall-response to retell-response; for throughput the messages are there before it starts, for
latency they come at a fixed rate. Prints one Markdown table (of three runs the middle one), and the ratios
under it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "apps"), str(ROOT / "tests")]

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition, libversion  # noqa: E402  path above
from confluent_kafka.admin import AdminClient, NewTopic  # noqa: E402

from broker.kafka import Kafka, free_ports  # noqa: E402
from vhm.contract import topics as graph  # noqa: E402

IN, OUT, GROUP = "recall-response", "retell-response", "reteller"
CONTENDER = Path(__file__).with_name("contender.py")
BYTES = 300


class Figures(NamedTuple):
    """One run. Latencies are in milliseconds, memory is resident."""

    per_second: float
    cpu_microseconds: float
    megabytes: float | None = None
    latencies: Sequence[float] = ()

    def row(self, name: str, size: int = BYTES) -> str:
        """One line of the table."""
        waits = " | ".join(
            f"{percentile(self.latencies, share):.1f}" if self.latencies else ""
            for share in (0.5, 0.95, 0.99)
        )
        memory = f"{self.megabytes:.0f}" if self.megabytes is not None else ""
        megabytes = self.per_second * size / 1e6
        return (
            f"| {name} | {self.per_second:,.0f} | {megabytes:.1f} | {waits} "
            f"| {self.cpu_microseconds:,.0f} | {memory} |"
        )


HEAD = (
    f"| {BYTES}-byte JSON, 3 partitions | messages/s | MB/s | p50 ms | p95 ms | p99 ms | µs CPU each | MB |",
    "|---|--:|--:|--:|--:|--:|--:|--:|",
)


def topics(bootstrap: str, group: str, partitions: int) -> None:
    """A worker's topics anew, with so many partitions and without its group."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    names = graph.needs(group)
    there = [name for name in names if name in admin.list_topics(timeout=10).topics]
    for future in admin.delete_topics(there).values() if there else ():
        future.result(10)
    time.sleep(0.5)
    for future in admin.create_topics([NewTopic(name, partitions, 1) for name in names]).values():
        future.result(10)
    for future in admin.delete_consumer_groups([group]).values():
        try:
            future.result(10)
        except Exception:
            continue


def message(size: int) -> bytes:
    """JSON of about `size` bytes."""
    return json.dumps({"request_id": "0" * 36, "text": "x" * max(0, size - 70)}).encode()


def produce(bootstrap: str, count: int, size: int) -> Figures:
    """Fill the topic."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "linger.ms": 5,
            "queue.buffering.max.messages": 1_000_000,
            "log_level": 0,
        }
    )
    value = message(size)
    began, cpu = time.monotonic(), time.process_time()
    for number in range(count):
        while True:
            try:
                producer.produce(IN, value, b"%d" % number)
                break
            except BufferError:
                producer.poll(0.05)
    producer.flush()
    return Figures(count / (time.monotonic() - began), (time.process_time() - cpu) / count * 1e6)


def consume(bootstrap: str, count: int, topic: str = IN) -> Figures:
    """Read the topic from its beginning; the time is from the first message on."""
    consumer = reader(bootstrap, topic)
    seen, began, cpu = 0, 0.0, time.process_time()
    while seen < count:
        got = len(consumer.consume(10_000, 0.2))
        began = began or (time.monotonic() if got else 0.0)
        seen += got
    seconds = time.monotonic() - began
    spent = time.process_time() - cpu
    consumer.close()
    return Figures(count / seconds, spent / count * 1e6)


def reader(bootstrap: str, topic: str) -> Consumer:
    """A consumer of the whole topic, from its beginning."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "bench", "enable.auto.commit": False})
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in partitions])
    return consumer


def start(kind: str, bootstrap: str, **environment: str) -> subprocess.Popen[bytes]:
    """One contender as a process."""
    given = {
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "HEALTH_PORT": str(free_ports(1)[0]),
        "RETELLER_LOG_LEVEL": "ERROR",
        "PYTHONPATH": str(ROOT / "apps"),
    }
    return subprocess.Popen([sys.executable, str(CONTENDER), kind], env=os.environ | given | environment)


def usage(pid: int) -> tuple[float, float]:
    """CPU seconds so far, and resident megabytes."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return (int(fields[11]) + int(fields[12])) / ticks, pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def throughput(
    kind: str, bootstrap: str, count: int, size: int, partitions: int, **environment: str
) -> Figures:
    """Let one contender copy `count` messages that are there already."""
    topics(bootstrap, GROUP, partitions)
    produce(bootstrap, count, size)
    process = start(kind, bootstrap, **environment)
    try:
        consumer = reader(bootstrap, OUT)
        while not consumer.consume(1, 0.2):
            pass
        seen, began, (cpu, _) = 1, time.monotonic(), usage(process.pid)
        while seen < count:
            seen += len(consumer.consume(10_000, 0.2))
        seconds, measured = time.monotonic() - began, count - 1
        after, megabytes = usage(process.pid)
        consumer.close()
        return Figures(measured / seconds, (after - cpu) / measured * 1e6, megabytes)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def latencies(bootstrap: str, rate: int, seconds: float, kind: str | None = "runtime") -> Figures:
    """From each message being produced to its answer being read, at a fixed rate. Without a kind: from
    being produced to being read where it was written, and the CPU is that of this process."""
    topics(bootstrap, GROUP, 3)
    process = start(kind, bootstrap) if kind else None
    source = IN if kind else OUT
    try:
        producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0, "log_level": 0})
        consumer = reader(bootstrap, OUT)
        warm = 0
        while warm < 20:  # until it answers at once
            producer.produce(source, b"warm")
            producer.poll(0)
            warm += len(consumer.consume(100, 0.5))
        time.sleep(0.5)
        consumer.consume(10_000, 0.2)
        found: list[float] = []
        began, sent = time.monotonic(), 0
        cpu, _ = usage(process.pid if process else os.getpid())
        while (now := time.monotonic()) < began + seconds + 1:
            while sent < rate * min(seconds, now - began):
                producer.produce(source, b"%d" % time.monotonic_ns())
                sent += 1
            producer.poll(0)
            answer = consumer.poll(max(0.0, min(0.05, began + sent / rate - now)))
            if answer is not None and answer.error() is None and (answer.value() or b"").isdigit():
                found.append((time.monotonic_ns() - int(answer.value() or b"0")) / 1e6)
        after, megabytes = usage(process.pid if process else os.getpid())
        took = time.monotonic() - began - 1
        consumer.close()
        each = (after - cpu) / max(1, len(found)) * 1e6
        return Figures(len(found) / took, each, megabytes if process else None, found)
    finally:
        if process is not None:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def report(bootstrap: str, quick: bool) -> Iterator[str]:
    """The table, line by line as it comes."""
    count, naive = (60_000, 1_000) if quick else (300_000, 3_000)
    yield from HEAD
    topics(bootstrap, GROUP, 3)
    yield produce(bootstrap, count, BYTES).row("produce only")
    yield consume(bootstrap, count).row("consume only")
    results: dict[str, Figures] = {}
    for kind, number in (("plain", count), ("careful", count), ("runtime", count), ("naive", naive)):
        runs = [throughput(kind, bootstrap, number, BYTES, 3) for _ in range(1 if quick else 3)]
        results[kind] = sorted(runs, key=lambda run: run.per_second)[len(runs) // 2]
        yield results[kind].row(NAMES[kind])
    for rate in (10, 100, 1_000):
        for which in (None, "plain", "runtime"):
            figures = latencies(bootstrap, rate, 5 if quick else 12, which)
            yield figures.row(f"{rate:,}/s, {NAMES[which]}")
    if not quick:
        yield from growth(bootstrap, count)
    yield ""
    for kind in ("plain", "careful", "naive"):
        yield f"runtime / {kind}: {results['runtime'].per_second / results[kind].per_second:.2f}"


NAMES = {
    None: "the broker alone",
    "plain": "plain loop, batched",
    "careful": "careful loop, batched",
    "naive": "naive loop, commit a message",
    "runtime": "runtime",
}


def growth(bootstrap: str, count: int) -> Iterator[str]:
    """The runtime with more partitions, larger messages, other batches and windows."""
    for partitions in (1, 2, 4):
        figures = throughput("runtime", bootstrap, count // 3, BYTES, partitions)
        yield figures.row(f"runtime, {partitions} partition{'s' * (partitions > 1)}")
    for size, number in ((100, 100_000), (1_000, 60_000), (10_000, 20_000), (100_000, 3_000)):
        yield throughput("runtime", bootstrap, number, size, 3).row(f"runtime, {size:,} bytes", size)
    for batch_size, max_batches in ((1, 32), (50, 4), (500, 1), (500, 2), (500, 4), (500, 8)):
        environment = {"BENCH_BATCH": str(batch_size), "BENCH_WINDOW": str(max_batches)}
        figures = throughput("runtime", bootstrap, count // 6, BYTES, 3, **environment)
        yield figures.row(f"runtime, batches of {batch_size}, {max_batches} in flight")


def machine() -> str:
    """Where and when this was measured."""
    cores, python, loads = os.cpu_count(), sys.version.split()[0], os.getloadavg()
    return (
        f"{cores} cores, Python {python}, librdkafka {libversion()[0]}, load {loads[0]:.1f} (1 min) "
        f"{loads[2]:.1f} (15 min)"
    )


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute instead of several")
    parser.add_argument("--bootstrap", help="a broker that is there; one is started if not given")
    given = parser.parse_args()
    own = None if given.bootstrap else Kafka().start()
    try:
        print(machine(), flush=True)
        for line in report(given.bootstrap or own.address, given.quick):  # type: ignore[union-attr]
            print(line, flush=True)
        print(machine())
    finally:
        if own is not None:
            own.close()


if __name__ == "__main__":
    main()
