"""A foreign client that sends faster than anybody works: all it was told is stored is stored."""

from __future__ import annotations

import json
import time
import uuid

from confluent_kafka import Producer

from vhm.local import System

RECORDS, SIZE = 6_000, 4_000
"""24 MB over four partitions that keep 5 MB each."""


def test_nothing_acknowledged_is_lost() -> None:
    with System(environment={"EMBEDDING_MODEL": "deterministic", "HYBRID_RECALL": "false"}) as system:
        client = Producer({"bootstrap.servers": system.bootstrap, "log_level": 0})
        for n in range(RECORDS):
            body = {
                "anchor_id": str(uuid.uuid5(uuid.NAMESPACE_URL, str(n))),
                "text": f"flood {n} {'x' * SIZE}",
                "stored_at": "2026-11-01T00:00:00Z",
            }
            while True:
                try:
                    client.produce("anchors-write", json.dumps(body).encode())
                    break
                except BufferError:
                    client.poll(0.1)
        assert client.flush(60) == 0
        until = time.monotonic() + 60
        while system.count() < RECORDS and time.monotonic() < until:
            time.sleep(0.2)
        assert (system.count(), system.skipped) == (RECORDS, 0)
