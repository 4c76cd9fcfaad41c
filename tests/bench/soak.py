"""Two workers under full load for minutes, one of them killed again and again; everything accounted for.

    uv run python tests/bench/soak.py [--minutes 10] [--per-second 1000]

Prints the resident memory of the one that lives, each half minute, and the account in the end: messages
sent, lost, answered twice, the longest wait after a kill, and the lag that is left.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "apps"), str(ROOT / "tests"), str(Path(__file__).parent)]

from confluent_kafka import Consumer, TopicPartition  # noqa: E402  path above

from broker.crash import HEAD, Load, Process, account  # noqa: E402
from broker.harness import GROUP, IN, Client, until  # noqa: E402
from broker.kafka import Kafka  # noqa: E402
from runtime import usage  # noqa: E402

SAMPLE_SECONDS = 30.0


def lag(client: Client) -> int:
    """Messages written and not committed."""
    ends: dict[int, int] = {}
    consumer = Consumer({**client.config, "group.id": GROUP})
    for partition in consumer.list_topics(IN, timeout=10).topics[IN].partitions:
        ends[partition] = consumer.get_watermark_offsets(TopicPartition(IN, partition), timeout=10)[1]
    consumer.close()
    return sum(ends.values()) - sum(client.committed().values())


def soak(bootstrap: str, minutes: float, per_second: float) -> None:
    """See the module."""
    client = Client(bootstrap)
    lives = Process(bootstrap)
    until(lambda: any(line["event"] == "assigned" for line in lives.lines()), 60)
    dies = Process(bootstrap)
    deaths: list[float] = []
    began = sampled = time.monotonic()
    with Load(client, per_second) as load:
        while time.monotonic() < began + 60 * minutes:
            time.sleep(random.uniform(5, 20))
            deaths.append(time.time())
            dies.kill()
            dies = Process(bootstrap)
            if time.monotonic() - sampled > SAMPLE_SECONDS:
                sampled = time.monotonic()
                cpu, megabytes = usage(lives.pid)
                print(
                    f"{sampled - began:5.0f} s  {megabytes:6.1f} MB  {cpu:6.1f} s of CPU  "
                    f"{len(load.sent):>8} sent  {len(deaths)} kills",
                    flush=True,
                )
    stopped = time.monotonic()
    until(lambda: lag(client) == 0, 120)
    print(f"lag back to 0 after {time.monotonic() - stopped:.1f} s")
    print(HEAD)
    print(account(f"{len(deaths)} kills in {minutes:g} minutes", client, load.sent, deaths).row())
    lives.stop()
    dies.stop()


def main() -> None:
    """Start a broker and soak."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--per-second", type=float, default=1_000)
    given = parser.parse_args()
    kafka = Kafka().start()
    try:
        soak(kafka.address, given.minutes, given.per_second)
    finally:
        kafka.close()


if __name__ == "__main__":
    main()
