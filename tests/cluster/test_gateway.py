"""The gateway in the cluster: who comes in, and what a rollout under load loses."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import msgspec
import pytest

from cluster.cluster import HERE, NAMESPACE, Cluster
from cluster.conftest import Installed
from vhm import Memory

KEY = secrets.token_hex(32)
SERVICE = "service/gateway-service"
PORT = 18000
URL = f"http://localhost:{PORT}"
REMEMBER = HERE / "inside" / "remember.py"
WRITING_SECONDS = 60


@pytest.fixture(scope="module", autouse=True)
def keys(installed: Installed) -> Iterator[None]:
    """A key to every memory, and as many replicas as production has, while these tests run."""
    cluster = installed.cluster
    cluster.inside("create", "secret", "generic", "gateway-keys", f"--from-literal=GATEWAY_KEYS=*={KEY}")
    try:
        cluster.inside("scale", "deployment/gateway", "--replicas=2")
        cluster.inside("rollout", "restart", "deployment/gateway")
        cluster.wait_until_ready()
        yield
    finally:
        cluster.inside("delete", "secret", "gateway-keys")
        cluster.inside("scale", "deployment/gateway", "--replicas=1")
        cluster.inside("rollout", "restart", "deployment/gateway")
        cluster.wait_until_ready()


@contextlib.contextmanager
def forwarded(cluster: Cluster) -> Iterator[None]:
    """A person's own machine reaches a pod of the Service while the block runs."""
    command = ["kubectl", "-n", NAMESPACE, "port-forward", SERVICE, f"{PORT}:8000"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=cluster.environment
    ) as forward:
        assert forward.stdout is not None
        forward.stdout.readline()
        try:
            yield
        finally:
            forward.kill()


def test_with_a_key_one_remembers_and_recalls_and_without_nobody_does(cluster: Cluster) -> None:
    with forwarded(cluster):
        with Memory.connect(URL, key=KEY) as memory:
            sam = memory.of("sam")
            sam.remember("The ferry to the island leaves at nine.", speaker="Sam").wait()
            found = sam.recall("When does the ferry to the island leave?")
            assert [beat.text for beat in found] == ["The ferry to the island leaves at nine."]
            assert "nine" in (found.story or "")
        for headers in ({}, {"Authorization": "Bearer " + "x" * 32}):
            answer = httpx.post(f"{URL}/v1/owners/sam/recall", json={"query": "ferry"}, headers=headers)
            assert answer.status_code == 401
        page = httpx.get(URL)
        assert page.status_code == 401
        assert "Sign in" in page.text


class Remembered(msgspec.Struct):
    """What became of the memories: accepted ones, the lost among these, other answers by count."""

    accepted: int
    lost: list[str]
    others: dict[str, int]


def test_a_rollout_under_load_loses_no_memory_and_turns_nobody_away(cluster: Cluster, client: str) -> None:
    with cluster.background(client, REMEMBER, KEY, str(WRITING_SECONDS)) as writer:
        assert writer.stdout is not None
        assert writer.stderr is not None
        assert writer.stdout.readline() == "remembering\n", writer.stderr.read()
        began = time.monotonic()
        for _ in range(2):
            cluster.inside("rollout", "restart", "deployment/gateway")
            cluster.inside("rollout", "status", "deployment/gateway", "--timeout=60s")
        rolled = time.monotonic() - began
        said, trouble = writer.communicate(timeout=WRITING_SECONDS + 120)
    assert writer.returncode == 0, trouble
    found = msgspec.json.decode(said, type=Remembered)
    print(f"\ntwo rollouts in {rolled:.0f} s, {found}", file=sys.stderr)
    assert rolled < WRITING_SECONDS, "it was not under load to the end"
    assert found.accepted > 100
    assert found.lost == []
    assert found.others == {}
