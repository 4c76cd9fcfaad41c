"""Killing workers and accounting for every message afterwards."""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from confluent_kafka import KafkaError, Message

from broker.harness import IN, OUT, Client, until
from broker.kafka import free_ports
from broker.process_guard import ProcessGuard

CRASHING_WORKER = Path(__file__).with_name("crashing_worker.py")
APPS = Path(__file__).parents[2] / "apps"

REPEATED_SECONDS = 0.25
"""How old what is repeated may be at the time of death, besides what was in flight."""


class Process:
    """One worker process; `notes` collects what it stored and when it died."""

    def __init__(self, bootstrap: str, step: str = "never", count: int = 1, **environment: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="vhm-notes-")  # goes with this object
        self.notes = Path(self._folder.name) / "notes"
        self.notes.touch()
        self.began = time.time()
        self.port = free_ports(1)[0]
        self.log = self.notes.with_suffix(".log")
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(CRASHING_WORKER), step, str(count), str(self.notes)],
                env=os.environ
                | {
                    "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
                    "HEALTH_PORT": str(self.port),
                    "PYTHONPATH": str(APPS),
                    **environment,
                },
                stderr=log,
                stdout=log,
            )
        self._guard = ProcessGuard(self._process.pid)

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @property
    def code(self) -> int | None:
        """Its exit code, once it has ended."""
        return self._process.poll()

    def signal(self, number: int) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def wait(self, seconds: float = 60) -> int:
        """Wait for its end."""
        code = self._process.wait(seconds)
        self._guard.dismiss()
        return code

    def stop(self) -> int:
        """SIGTERM, and its exit code."""
        if self.code is None:
            self._process.terminate()
        return self.wait()

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self.wait()

    def stored(self) -> list[str]:
        """Ids it has stored, in order."""
        notes = [json.loads(line) for line in self.notes.read_bytes().splitlines()]
        return [id for note in notes for id in note.get("stored", ())]

    def took(self) -> int:
        """Records it has begun with and will never finish."""
        notes = [json.loads(line) for line in self.notes.read_bytes().splitlines()]
        return sum(note.get("took", 0) for note in notes)

    def died(self) -> float:
        """When it killed itself, seconds since 1970."""
        notes = [json.loads(line) for line in self.notes.read_bytes().splitlines()]
        return next((float(note["died"]) for note in notes if "died" in note), time.time())

    def lines(self) -> list[dict[str, object]]:
        """Its log."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]


class Load:
    """Writes numbered messages at a rate in the background; a context manager."""

    def __init__(self, client: Client, per_second: float = 400.0) -> None:
        self._client = client
        self._pause = 20 / per_second
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.sent: list[bytes] = []
        """Acknowledged by the broker."""

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Stop, once the broker has all of it."""
        self._ending.set()
        self._thread.join()
        assert self._client.producer.flush(120) == 0

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self.sent.append(message.value() or b"")

    def _run(self) -> None:
        numbers = itertools.count()
        while not self._ending.wait(self._pause):
            for number in itertools.islice(numbers, 20):
                value = b"m%d" % number
                self._client.producer.produce(IN, value, value, on_delivery=self._on_delivery)
            self._client.producer.poll(0)


class Account(NamedTuple):
    """What became of the messages of one run."""

    fault: str
    sent: int
    lost: int
    duplicated: int
    oldest_repeat: float
    """Of all messages answered twice: the longest time between the first answer and the death, seconds."""
    recovery: float
    """From the fault's end (of a kill: from the kill) to the first answer after it, seconds."""

    def row(self) -> str:
        """One line of the table."""
        return (
            f"| {self.fault:<50} | {self.sent:>6} | {self.lost:>4} | {self.duplicated:>10} "
            f"| {self.oldest_repeat:>13.3f} | {self.recovery:>10.1f} |"
        )


HEAD = "\n".join(
    (
        f"| {'fault':<50} |   sent | lost | duplicated | oldest repeat | recovery s |",
        f"|{'-' * 52}|-------:|-----:|-----------:|--------------:|-----------:|",
    )
)


def account(
    fault: str,
    client: Client,
    sent: Sequence[bytes],
    faults: Iterable[float],
    ends: Iterable[float] | None = None,
) -> Account:
    """Read every answer and compare: each message answered, and what was answered twice the same twice.
    `faults` and `ends`: when they began and when they were over, seconds since 1970; the same if not said."""
    wanted = set(sent)
    answers: dict[bytes, list[Message]] = defaultdict(list)

    def complete() -> bool:
        answers.clear()
        for message in client.read(OUT, len(wanted), seconds=120, extra=0.5):
            answers[message.value() or b""].append(message)
        return wanted <= answers.keys()

    until(complete, 120, lambda: f"{len(wanted - answers.keys())} lost")
    times = {value: sorted(m.timestamp()[1] / 1_000 for m in found) for value, found in answers.items()}
    begun = sorted(faults)
    over = begun if ends is None else sorted(ends)
    ages = [_age(moved[0], begun, over) for moved in times.values() if len(moved) > 1]
    every = sorted(moment for moved in times.values() for moment in moved)
    waits = [next((t - moment for t in every if t > moment + 0.05), 0.0) for moment in over]
    assert all(m.key() == m.value() for found in answers.values() for m in found)
    return Account(
        fault,
        len(wanted),
        len(wanted - answers.keys()),
        sum(len(moved) - 1 for moved in times.values()),
        max(ages, default=0.0),
        max(waits, default=0.0),
    )


def _age(answered: float, begun: Sequence[float], over: Sequence[float]) -> float:
    """How long it had been answered when the next fault began, seconds; 0 when that was during one."""
    if any(begin <= answered <= end for begin, end in zip(begun, over, strict=True)):
        return 0.0
    return min((begin - answered for begin in begun if begin >= answered - 0.05), default=float("inf"))


def crash(bootstrap: str, step: str, rounds: int, **environment: str) -> Account:
    """Kill a worker at `step`, again and again under load, then let one live and account for everything."""
    client = Client(bootstrap)
    deaths: list[float] = []
    chance = random.Random(step)
    process = Process(bootstrap, step, chance.randint(1, 40), **environment)
    until(lambda: _topics_there(client), 60)
    with Load(client) as load:
        for nth in range(rounds):
            process.wait(90)
            deaths.append(process.died())
            count = chance.randint(1, 40)
            last = nth == rounds - 1
            process = Process(bootstrap, "never" if last else step, count, **environment)
        until(lambda: bool(process.stored()), 90)
        time.sleep(1)
    try:
        return account(f"SIGKILL after {step}", client, load.sent, deaths)
    finally:
        process.stop()


def _topics_there(client: Client) -> bool:
    topics = client.producer.list_topics(timeout=10).topics
    return IN in topics and OUT in topics
