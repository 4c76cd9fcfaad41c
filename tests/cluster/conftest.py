"""The system on a real cluster: `KUBECONFIG=… uv run pytest -m slow tests/cluster`.

Any cluster will do that has a default StorageClass and no namespace vhm of its own: the tests make that
namespace and delete it; with VHM_TEST_KEEP=1 they take one that is there, and leave it. images.py says how
the images get there.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from cluster import images
from cluster.cluster import HERE, NAMESPACE, ROOT, Cluster


class Installed(msgspec.Struct):
    """The system as the tests found it: the cluster, seconds until all was ready, the image's archive."""

    cluster: Cluster
    seconds: float
    archive: Path
    load: list[str]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def installed() -> Iterator[Installed]:
    """overlays/minikube, applied as it is to a cluster without it."""
    kubeconfig = os.environ.get("KUBECONFIG")
    if not kubeconfig or not shutil.which("kubectl"):
        pytest.skip("no cluster: set KUBECONFIG to one that may lose its namespace vhm, with kubectl on PATH")
    folder = images.standins()
    overlay = HERE / "minikube-standins" if folder else ROOT / "overlays" / "minikube"
    cluster = Cluster(Path(kubeconfig), overlay)
    load = images.load_command(cluster.kubectl("config", "current-context").strip())
    if load is None:
        pytest.skip("how does this cluster load an image archive? set VHM_TEST_LOAD to the command")
    kept = bool(os.environ.get("VHM_TEST_KEEP"))
    if not kept and f"namespace/{NAMESPACE}" in cluster.kubectl("get", "namespaces", "-o", "name").split():
        pytest.skip(f"the cluster has a namespace {NAMESPACE} already: these tests would delete it")
    archive = images.worker_archive()
    for each in [archive, *(sorted(folder.glob("[kq]*[at].tar")) if folder else [])]:
        images.load(load, each)
    try:
        cluster.apply()
        yield Installed(cluster, cluster.wait_until_ready(180), archive, load)
    finally:
        if not kept:
            cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", timeout=180)


@pytest.fixture
def cluster(installed: Installed) -> Cluster:
    """The cluster with the system on it, whole and ready."""
    installed.cluster.wait_until_ready()
    return installed.cluster


@pytest.fixture
def client(cluster: Cluster) -> Iterator[str]:
    """A pod that may talk to Kafka and the gateway, as another program of the namespace; its name for
    `kubectl exec`."""
    cluster.apply((HERE / "client.yaml").read_text().replace("TAG", images.tag()))
    cluster.inside("wait", "--for=condition=Ready", "pod/client", "--timeout=60s")
    yield "pod/client"
    cluster.inside("delete", "pod", "client", "--grace-period=1")
