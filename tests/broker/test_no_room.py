"""Brokers and stores that have no room or take no writes: everything waits, nothing is lost."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from structlog.testing import LogCapture

from anchors.places import FixedModel, Place
from broker.conftest import Show
from broker.harness import OUT, Client, Running, until
from broker.kafka import Kafka, NoKafkaError
from broker.outage import states, survive, unready
from broker.test_store_faults import anchor, indexer
from vhm.anchors import Scope
from vhm.contract.topics import ANCHORS_INDEXED, ANCHORS_WRITE
from vhm.embedding.deterministic import DeterministicEmbedder
from vhm.runtime.embedded_broker import EmbeddedBroker

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SECONDS = 8.0
"""How long there is no room."""


class Disk:
    """A file system of 32 MB; `fill` leaves no room on it, `free` gives it back."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filling = path / "filling"

    def fill(self) -> None:
        """Take every byte that is free."""
        with self._filling.open("wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while True:
                        file.write(b"\0" * size)
                except OSError:
                    continue

    def free(self) -> None:
        """Give them back."""
        self._filling.unlink(missing_ok=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32m", "vhm-tests", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("no small file system can be mounted here: run as root, on Linux")
    try:
        yield Disk(tmp_path)
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=False)


@pytest.fixture
def small(disk: Disk) -> Iterator[Kafka]:
    """A broker on that disk."""
    try:
        kafka = Kafka(place=disk.path).start()
    except NoKafkaError as error:
        pytest.skip(str(error))
    yield kafka
    disk.free()
    kafka.close()


def test_a_broker_whose_disk_is_full(small: Kafka, disk: Disk, show: Show, log: LogCapture) -> None:
    def fill(worker: Running) -> None:
        disk.fill()
        until(lambda: not small.nodes[0].runs(), 30)  # a broker without a disk ends
        assert unready(worker, SECONDS).startswith("broker: Kafka ")
        disk.free()
        small.nodes[0].start()

    result = survive(f"broker's disk full for {SECONDS:.0f} s", small, fill)
    show(result)
    assert result.lost == 0
    assert states(log, "broker") == ["not ready", "recovered"]


@pytest.fixture
def strict() -> Iterator[Kafka]:
    """A broker that keeps access lists, and has none yet."""
    authorizer = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
    settings = {"authorizer.class.name": authorizer, "allow.everyone.if.no.acl.found": "true"}
    try:
        kafka = Kafka(settings=settings).start()
    except NoKafkaError as error:
        pytest.skip(str(error))
    yield kafka
    kafka.close()


def test_a_broker_that_takes_no_writes(strict: Kafka, show: Show, log: LogCapture) -> None:
    admin = AdminClient({"bootstrap.servers": strict.address})
    nobody_writes = AclBinding(
        ResourceType.TOPIC,
        OUT,
        ResourcePatternType.LITERAL,
        "User:ANONYMOUS",
        "*",
        AclOperation.WRITE,
        AclPermissionType.DENY,
    )
    others_read = AclBinding(
        ResourceType.TOPIC,
        OUT,
        ResourcePatternType.LITERAL,
        "User:ANONYMOUS",
        "*",
        AclOperation.ALL,
        AclPermissionType.ALLOW,
    )

    def refuse(worker: Running) -> None:
        for done in admin.create_acls([nobody_writes, others_read]).values():
            done.result(10)
        reason = unready(worker, SECONDS)
        assert reason.startswith(f"produce: {OUT}: ")
        assert "Topic authorization failed" in reason
        filters = [_filter(acl) for acl in (nobody_writes, others_read)]
        for done in admin.delete_acls(filters).values():
            done.result(10)

    result = survive(f"broker refuses writes for {SECONDS:.0f} s", strict, refuse)
    show(result)
    assert result.lost == 0
    assert states(log, "produce") == ["not ready", "recovered"]
    assert states(log, "group") == []


def _filter(acl: AclBinding) -> AclBindingFilter:
    """What finds exactly this one."""
    return AclBindingFilter(
        acl.restype,
        acl.name,
        acl.resource_pattern_type,
        acl.principal,
        acl.host,
        acl.operation,
        acl.permission_type,
    )


def test_an_embedded_store_whose_disk_is_full(disk: Disk, log: LogCapture) -> None:
    broker = EmbeddedBroker()
    client = Client(broker.address)
    sent = [anchor() for _ in range(900)]
    url = f"local:{disk.path / 'store'}"
    with indexer(broker, url) as worker:
        worker.ready(60).assigned()
        client.write(sent[:300], ANCHORS_WRITE)
        client.read(ANCHORS_INDEXED, 300)
        disk.fill()
        client.write(sent[300:600], ANCHORS_WRITE)
        reason = unready(worker, SECONDS)
        assert f"the embedded store in {disk.path / 'store'}: database or disk is full" in reason
        written = len(client.read(ANCHORS_INDEXED, 300, extra=0.3))
        assert worker.get("/livez").status == 200
        disk.free()
        freed = time.monotonic()
        until(lambda: len(client.read(ANCHORS_INDEXED, written)) > written, 15)
        assert time.monotonic() - freed < 10
        client.write(sent[600:], ANCHORS_WRITE)
        answers = [json.loads(value) for value in client.values(ANCHORS_INDEXED, 900, extra=0.5)]
        worker.ready(10)
    assert {a["anchor_id"] for a in answers} == {json.loads(each)["anchor_id"] for each in sent}
    assert all(answer["ok"] for answer in answers)
    assert states(log, "work") == ["not ready", "recovered"]
    broker.close()
    assert asyncio.run(_held(url)) == 900


async def _held(url: str) -> int:
    """How many anchors a store has on its disk."""
    async with Place(url).opened(FixedModel(size=DeterministicEmbedder.size)) as store:
        return await store.count(Scope(""))
