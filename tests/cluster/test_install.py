"""Applied as it is, the overlay is soon ready, remembers and retells, and keeps its secrets."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

import msgspec
import pytest

from cluster.cluster import NAMESPACE, ROOT, STORY, WORKERS, Cluster, ClusterError
from cluster.conftest import Installed

KEY = "sk-not-a-key-but-easy-to-find"


def test_everything_is_ready_in_time(installed: Installed) -> None:
    print(f"ready {installed.seconds:.1f} s after apply", file=sys.stderr)
    assert installed.seconds <= 90
    assert {pod.app for pod in installed.cluster.pods()} == {*WORKERS, "gateway", "kafka", "qdrant"}
    assert [pod for pod in installed.cluster.pods() if pod.restarts] == []


def test_three_memories_are_remembered_and_retold(cluster: Cluster) -> None:
    for text, at in STORY:
        cluster.vhm("remember", text, "--at", at)
    told = msgspec.json.decode(cluster.vhm("recall", "the river", "--json"))
    assert {beat["text"] for beat in told["beats"]} <= {text for text, _ in STORY}
    assert len(told["beats"]) >= 2
    assert "river" in told["retelling"]
    assert [pod for pod in cluster.pods() if pod.restarts] == []


@pytest.fixture
def forwarded(cluster: Cluster) -> Iterator[dict[str, str]]:
    """The environment of a person whose own machine reaches the cluster's broker by port-forward."""
    with subprocess.Popen(
        ["kubectl", "-n", NAMESPACE, "port-forward", "statefulset/kafka", "9094"],
        stdout=subprocess.PIPE,
        text=True,
        env=cluster.environment,
    ) as forward:
        assert forward.stdout is not None
        assert "9094" in forward.stdout.readline()
        yield {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": "localhost:9094"}
        forward.kill()


def test_the_broker_is_reached_from_outside(forwarded: dict[str, str]) -> None:
    vhm = shutil.which("vhm")
    assert vhm, "run the tests with uv run"
    done = subprocess.run(
        [vhm, "recall", "the river", "--json"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=forwarded,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert msgspec.json.decode(done.stdout)["beats"]


def test_pod_security_refuses_a_pod_that_is_not_restricted(cluster: Cluster) -> None:
    with pytest.raises(ClusterError, match=r"violates PodSecurity \"restricted"):
        cluster.inside("run", "root", "--image=localhost/anything", "--dry-run=server")


def test_a_secret_reaches_the_workers_and_nobody_else(cluster: Cluster) -> None:
    cluster.inside("create", "secret", "generic", "vhm-secrets", f"--from-literal=OPENAI_API_KEY={KEY}")
    try:
        cluster.inside("rollout", "restart", *(f"deployment/{worker}" for worker in WORKERS))
        cluster.wait_until_ready()
        health = (
            "import urllib.request as r; print(r.urlopen('http://localhost:8080/health').read().decode())"
        )
        for worker in WORKERS:
            assert KEY in cluster.inside("exec", f"deployment/{worker}", "--", "printenv", "OPENAI_API_KEY")
            page = cluster.inside("exec", f"deployment/{worker}", "--", "python", "-c", health)
            assert '"OPENAI_API_KEY":"***"' in page.replace(" ", "")
            assert KEY not in page
            assert KEY not in cluster.inside("logs", f"deployment/{worker}")
    finally:
        cluster.inside("delete", "secret", "vhm-secrets")
        cluster.inside("rollout", "restart", *(f"deployment/{worker}" for worker in WORKERS))
        time.sleep(1)
        cluster.wait_until_ready()
