"""A worker process that kills itself: `python crashing_worker.py STEP COUNT NOTES`.

STEP is where SIGKILL strikes, the COUNT-th time the worker comes by; `never` for one that lives. What it
"stores" and when it dies is appended to the file NOTES, one JSON object a line.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vhm.reteller.settings import Settings
from vhm.runtime import kafka_config, worker
from vhm.runtime.handler import Outcome, Outgoing, Record, Reply
from vhm.runtime.offset_committer import OffsetCommitter
from vhm.runtime.poller import Poller
from vhm.runtime.producer import DeliveryReports, RecordProducer

STEPS = ("poll", "decode", "handle", "store write", "produce", "ack", "offset store", "commit")
"""Every boundary on the way of a record, in order."""


class Death:
    """Strikes at one step."""

    def __init__(self, step: str, count: int, notes: Path) -> None:
        self._step = step
        self._left = count
        self._notes = notes

    def note(self, **what: object) -> None:
        """Append to the notes; a line is written whole or not at all."""
        with self._notes.open("ab", buffering=0) as notes:
            notes.write(json.dumps(what).encode() + b"\n")

    def pass_by(self, step: str) -> None:
        """The worker has just done this step."""
        if step != self._step:
            return
        self._left -= 1
        if self._left <= 0:
            self.note(died=time.time(), step=step)
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)


class Handler:
    """Answers every record with its value, after "storing" it."""

    name = "reteller"
    batch_size = 20
    max_batches = 4

    def __init__(self, death: Death) -> None:
        self._death = death

    async def open(self) -> None: ...

    async def handle(self, records: Sequence[Record]) -> list[Outcome]:
        values = [record.value or b"" for record in records]
        self._death.pass_by("decode")
        if "VHM_TEST_HANG" in os.environ:
            self._death.note(took=len(values))
            await asyncio.sleep(3_600)
        await asyncio.sleep(0.001 * len(records) / 4)
        self._death.pass_by("handle")
        self._death.note(stored=[value.decode() for value in values], pid=os.getpid())
        self._death.pass_by("store write")
        return [Reply((Outgoing(topic="retell-response", key=value, value=value),)) for value in values]

    def failed(self, record: Record, error: str) -> Sequence[Outgoing]:
        return ()

    async def not_ready(self) -> list[str]:
        return []

    def details(self) -> Sequence[str]:
        return ()

    def drain(self, seconds: float) -> None: ...

    async def close(self) -> None: ...


def after(step: str, death: Death, call: Callable[..., Any]) -> Callable[..., Any]:
    """`call`, and death passing by when it has returned something."""

    def wrapped(*arguments: Any, **named: Any) -> Any:
        result = call(*arguments, **named)
        if result is None or result:
            death.pass_by(step)
        return result

    return wrapped


def strike_runtime(death: Death) -> None:
    """Let death pass by between the steps of the runtime; on its classes, because the worker makes its own
    instances."""
    Poller._poll = after("poll", death, Poller._poll)  # type: ignore[method-assign]
    DeliveryReports.on_report = after("ack", death, DeliveryReports.on_report)  # type: ignore[method-assign]
    RecordProducer._wake = after("produce", death, RecordProducer._wake)  # type: ignore[method-assign]
    OffsetCommitter._store = after("offset store", death, OffsetCommitter._store)  # type: ignore[method-assign]
    configure = kafka_config.consumer_config

    static = {"group.instance.id": id} if (id := os.environ.get("VHM_TEST_INSTANCE")) else {}

    def with_commits(*arguments: Any, **named: Any) -> kafka_config.Config:
        on_commit = {"on_commit": lambda error, offsets: death.pass_by("commit")}
        return configure(*arguments, **named) | on_commit | static

    kafka_config.consumer_config = with_commits


def main() -> int:
    """Run until killed or told to stop."""
    step, count, notes = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    death = Death(step, count, notes)
    strike_runtime(death)
    death.note(began=time.time(), pid=os.getpid())
    return worker.main("reteller", Settings, lambda _: Handler(death))


if __name__ == "__main__":
    sys.exit(main())
