"""Living through an outage under load, and what a worker says meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable

from structlog.testing import LogCapture

from broker.crash import Account, Load, account
from broker.harness import Client, Echo, Running, until
from broker.kafka import Kafka


def survive(
    name: str, kafka: Kafka, fault: Callable[[Running], None], address: str | None = None, **environment: str
) -> Account:
    """Put a worker (at `address` of the broker, if not its plain one) under load, do `fault`, wait until it
    is ready and at work again, and account for everything. It must be alive all along."""
    client = Client(kafka.address)
    with Running(Echo(batch_size=20), address or kafka.address, **environment) as worker:
        worker.ready(60).assigned()
        with Load(client) as load:
            until(lambda: len(worker._handler.handled) > 500)
            began = time.time()
            fault(worker)
            ended = time.time()
            worker.ready(60)
            before = len(worker._handler.handled)
            until(lambda: len(worker._handler.handled) > before + 200, 60)
        result = account(name, client, load.sent, [began], [ended])
        assert worker.get("/livez").status == 200
    assert worker.code == 0
    return result


def unready(worker: Running, seconds: float, within: float = 20.0) -> str:
    """See that the worker says so within `within` seconds of now, and is alive and unready for at least
    `seconds` from now; the reason it gives in the end."""
    began = time.monotonic()
    until(lambda: worker.get("/readyz").status == 503, within)
    while True:
        assert worker.get("/livez").status == 200
        page = worker.get("/readyz")
        assert page.status == 503
        if time.monotonic() > began + seconds:
            return str(page.body["reasons"][0])
        time.sleep(0.5)


def states(log: LogCapture, subject: str) -> list[str]:
    """The log lines about one of the things that keep a worker from being ready."""
    return [str(entry["event"]) for entry in log.entries if entry.get("subject") == subject]
