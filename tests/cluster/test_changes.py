"""What is changed while messages flow: nothing is lost, and only what reads a change is restarted."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

import msgspec
import pytest

from cluster import images
from cluster.cluster import HERE, WORKERS, Cluster
from cluster.conftest import Installed

LOAD = HERE / "inside" / "load.py"
RATE = os.environ.get("VHM_TEST_RATE", "10")
"""Anchors, and as many recall requests, a second."""


class Answers(msgspec.Struct):
    """What became of the messages written while something happened; seconds."""

    due: int
    lost: int
    repeated: int
    slowest: float


def under_load(cluster: Cluster, client: str, happening: Callable[[], None], seconds: int = 40) -> None:
    """Let something happen while messages flow. Every one of them must be answered."""
    with cluster.background(client, LOAD, str(seconds), RATE) as load:
        assert load.stdout is not None
        assert load.stdout.readline() == "writing\n"
        happening()
        said, trouble = load.communicate(timeout=seconds + 400)
    assert load.returncode == 0, trouble
    answers = msgspec.json.decode(said, type=dict[str, Answers])
    for topic, counts in answers.items():
        print(
            f"{topic}: sent {counts.due}, lost {counts.lost}, repeated {counts.repeated}, "
            f"slowest {counts.slowest:.1f} s",
            file=sys.stderr,
        )
    print(
        "memory at most:", ", ".join(f"{w} {peak_memory(cluster, w)} MiB" for w in WORKERS), file=sys.stderr
    )
    assert {topic: counts.lost for topic, counts in answers.items()} == dict.fromkeys(answers, 0)
    assert all(counts.due for counts in answers.values())


def peak_memory(cluster: Cluster, worker: str) -> int:
    """The most memory a worker's process has held, in MiB."""
    status = cluster.inside("exec", f"deployment/{worker}", "--", "cat", "/proc/1/status")
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def uids(cluster: Cluster) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for pod in cluster.pods():
        found.setdefault(pod.app, set()).add(pod.uid)
    return found


@pytest.mark.parametrize(
    ("changed", "rolls"),
    [
        ({"resonance_config": {"RESONANCE_MAX_BEATS": "4"}}, {"resonance"}),
        ({"store_config": {"QDRANT_COLLECTION": "others"}}, {"indexer", "resonance"}),
        ({"vhm_config": {"OLLAMA_BASE_URL": "http://ollama.example.com:11434"}}, set(WORKERS)),
    ],
)
def test_a_changed_setting_rolls_those_that_read_it(
    cluster: Cluster, changed: dict[str, dict[str, str]], rolls: set[str]
) -> None:
    before = uids(cluster)
    try:
        cluster.apply(cluster.render(**changed))
        cluster.wait_until_ready()
        after = uids(cluster)
        assert {app for app in after if after[app] != before[app]} == rolls
    finally:
        cluster.apply()
        cluster.wait_until_ready()


def test_a_new_image_rolls_out_without_a_loss(installed: Installed, cluster: Cluster, client: str) -> None:
    other = images.tag()[:-1] + ("0" if images.tag()[-1] != "0" else "1")
    archive = images.renamed(installed.archive, other)
    images.load(installed.load, archive)
    archive.unlink()
    new = cluster.render().replace(f"{images.IMAGE}:{images.tag()}", f"{images.IMAGE}:{other}")

    def roll() -> None:
        cluster.apply(new)
        cluster.wait_until_ready()
        assert all(other in line for line in _images(cluster))

    try:
        under_load(cluster, client, roll)
    finally:
        cluster.apply()
        cluster.wait_until_ready()


def _images(cluster: Cluster) -> list[str]:
    path = "jsonpath={range .items[*]}{.spec.template.spec.containers[0].image}{'\\n'}{end}"
    return cluster.inside("get", "deployments", "-o", path).split()


@pytest.mark.parametrize("app", WORKERS)
def test_a_deleted_worker_loses_nothing(cluster: Cluster, client: str, app: str) -> None:
    def delete() -> None:
        cluster.inside("delete", "pod", "-l", f"app={app}", "--wait=false")
        time.sleep(2)
        cluster.wait_until_ready()

    under_load(cluster, client, delete, seconds=25)


@pytest.mark.parametrize("app", WORKERS)
def test_a_killed_worker_loses_nothing(cluster: Cluster, client: str, app: str) -> None:
    def kill() -> None:
        cluster.inside("delete", "pod", "-l", f"app={app}", "--grace-period=0", "--force", "--wait=false")
        time.sleep(2)
        cluster.wait_until_ready()

    under_load(cluster, client, kill, seconds=25)


@pytest.mark.parametrize("app", ["kafka", "qdrant"])
def test_broker_and_store_keep_their_data(cluster: Cluster, client: str, app: str) -> None:
    def delete() -> None:
        cluster.inside("delete", "pod", f"{app}-0", "--wait=false")
        time.sleep(2)
        cluster.wait_until_ready(180)

    under_load(cluster, client, delete, seconds=30)
