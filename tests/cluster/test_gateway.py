"""The gateway in the cluster: who comes in through its Service, and what a rollout under load loses."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator

import httpx
import pytest

from cluster.cluster import NAMESPACE, Cluster
from cluster.conftest import Installed
from vhm import Memory

KEY = secrets.token_hex(32)
SERVICE = "service/gateway-service"
PORT = 18000
URL = f"http://localhost:{PORT}"


@pytest.fixture(scope="module", autouse=True)
def keys(installed: Installed) -> Iterator[None]:
    """A key to every memory, and as many replicas as production has."""
    cluster = installed.cluster
    cluster.inside("create", "secret", "generic", "gateway-keys", f"--from-literal=GATEWAY_KEYS=*={KEY}")
    try:
        cluster.inside("scale", "deployment/gateway", "--replicas=2")
        cluster.inside("rollout", "restart", "deployment/gateway")
        cluster.wait_until_ready()
        yield
    finally:
        cluster.inside("delete", "secret", "gateway-keys")


@contextlib.contextmanager
def forwarded(cluster: Cluster) -> Iterator[None]:
    """A person's own machine reaches the Service while the block runs, as long as the pod behind lives."""
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


def test_a_rollout_under_load_loses_no_accepted_memory(cluster: Cluster) -> None:
    accepted: list[uuid.UUID] = []
    stop = threading.Event()

    def write() -> None:
        """Send memories one after another; what was not answered is sent again under its id."""
        number = 0
        while not stop.is_set():
            with forwarded(cluster), httpx.Client(base_url=URL, timeout=10) as client:
                while not stop.is_set():
                    anchor_id = uuid.uuid5(uuid.NAMESPACE_URL, f"rollout {number}")
                    body = {"text": f"rollout entry {number}", "anchor_id": str(anchor_id)}
                    try:
                        answer = client.post(
                            "/v1/owners/rollout/memories",
                            json=body,
                            headers={"Authorization": f"Bearer {KEY}"},
                        )
                    except httpx.HTTPError:
                        break  # the pod behind the forward is gone: forward anew
                    if answer.status_code == 202:
                        accepted.append(anchor_id)
                        number += 1
                    else:
                        assert answer.status_code == 503, answer.text
                        time.sleep(0.1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        cluster.until("the first memories", lambda: len(accepted) > 20)
        for _ in range(2):
            before = len(accepted)
            cluster.inside("rollout", "restart", "deployment/gateway")
            cluster.inside("rollout", "status", "deployment/gateway", "--timeout=120s", timeout=130)
            cluster.wait_until_ready()
            cluster.until("more memories", lambda seen=before: len(accepted) > seen + 20)
    finally:
        stop.set()
        writer.join()
    with forwarded(cluster), Memory.connect(URL, key=KEY) as memory:
        rollout = memory.of("rollout")
        cluster.until(
            "all that was accepted", lambda: set(accepted) <= {one.anchor_id for one in rollout.memories()}
        )
    assert len(accepted) == len(set(accepted)) > 60
