"""Argo CD reconciles the overlay from git: rollouts, drift, broken commits, reverts, and what it must keep.

Its own repo-server and application controller run beside the cluster; argocd.py says how they are given.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from cluster import argocd
from cluster.cluster import NAMESPACE, ROOT, Cluster
from cluster.conftest import Installed
from cluster.gitserver import serve
from cluster.repository import Repository

MEMORY = "The miller's daughter taught us to read the wind by the sails."
SETTINGS = "base/resonance/resonance.env"


class Application:
    """The repository, and what Argo CD says of the Application made of it."""

    def __init__(self, repository: Repository, cluster: Cluster) -> None:
        self.repository = repository
        self.edit = repository.edit
        self.cluster = cluster

    def commit(self) -> str:
        """Commit what was edited and have Argo CD look; the commit's name."""
        commit = self.repository.record("a change")
        self.look()
        return commit

    def revert(self) -> None:
        """Take the newest commit back, and wait until that is applied."""
        commit = self.repository.undo()
        self.look()
        self.wait_for(commit)

    def look(self) -> None:
        """Ask Argo CD to look at the repository now."""
        now = ("annotate", "--overwrite", "application", "vhm", "argocd.argoproj.io/refresh=normal")
        self.cluster.kubectl("-n", argocd.NAMESPACE, *now)

    def status(self) -> dict[str, Any]:
        """The Application's status."""
        said = self.cluster.kubectl("-n", argocd.NAMESPACE, "get", "application", "vhm", "-o", "json")
        found: dict[str, Any] = json.loads(said).get("status", {})
        return found

    def shown(self) -> tuple[str, str, str, str]:
        """Whether it is in sync, its health, the operation's phase, and the commit compared with."""
        status = self.status()
        sync = status.get("sync", {})
        return (
            sync.get("status", ""),
            status.get("health", {}).get("status", ""),
            status.get("operationState", {}).get("phase", ""),
            sync.get("revision", ""),
        )

    def wait_for(self, commit: str, seconds: float = 240) -> None:
        """Until the commit is applied and everything is healthy."""
        wanted = ("Synced", "Healthy", "Succeeded", commit)
        self.cluster.until(f"Argo CD applied {commit}", lambda: self.shown() == wanted, seconds)


@pytest.fixture(scope="module")
def application(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """The system handed over to Argo CD; afterwards to kubectl again."""
    if not argocd.program() or not argocd.redis():
        pytest.skip("no Argo CD: set VHM_TEST_ARGOCD to its program, VHM_TEST_REDIS to a Redis's host:port")
    cluster = installed.cluster
    found = Application(Repository(tmp_path_factory.mktemp("git") / "vhm"), cluster)
    folder = tmp_path_factory.mktemp("argocd")
    with serve(found.repository.folder, "127.0.0.1") as address, argocd.running(cluster, folder):
        beside = tmp_path_factory.mktemp("application")
        for path in (ROOT / "overlays/minikube/argocd").iterdir():
            text = path.read_text(encoding="utf-8").replace("https://git.example.com/vhm.git", address)
            (beside / path.name).write_text(text, encoding="utf-8")
        cluster.kubectl("apply", "-k", str(beside))
        try:
            found.wait_for(found.repository.head())
            yield found
        finally:
            cluster.kubectl("-n", argocd.NAMESPACE, "delete", "application", "vhm", "--timeout=60s")
            cluster.apply()
            cluster.wait_until_ready()


def uids(cluster: Cluster, app: str = "") -> set[str]:
    return {pod.uid for pod in cluster.pods(f"app={app}" if app else "")}


def configs(cluster: Cluster) -> set[str]:
    """The generated ConfigMaps of resonance."""
    names = cluster.inside("get", "configmaps", "-l", "vhm/generated-config", "-o", "name").split()
    return {name for name in names if "resonance-config" in name}


def test_a_commit_becomes_a_rollout_and_the_old_configuration_goes_last(application: Application) -> None:
    cluster = application.cluster
    before = uids(cluster, "resonance"), uids(cluster, "indexer")
    application.edit(SETTINGS, "RESONANCE_MAX_BEATS=", "RESONANCE_MAX_BEATS=4")
    application.wait_for(application.commit())
    cluster.wait_until_ready()
    assert uids(cluster, "resonance") != before[0]
    assert uids(cluster, "indexer") == before[1]
    assert len(configs(cluster)) == 1


def test_drift_is_corrected(application: Application) -> None:
    cluster = application.cluster
    cluster.inside("delete", "service", "reteller-service")
    cluster.inside("scale", "deployment", "reteller", "--replicas=0")
    cluster.until("the service is back", lambda: "reteller-service" in cluster.inside("get", "services"), 90)
    cluster.until("the pod is back", lambda: len(cluster.pods("app=reteller")) == 1, 90)
    cluster.wait_until_ready()


def test_a_commit_that_does_not_build_changes_nothing(application: Application) -> None:
    cluster = application.cluster
    before = uids(cluster)
    application.edit("overlays/minikube/kustomization.yaml", "behavior: merge", "behavior: marge")
    application.commit()
    try:

        def says() -> bool:
            conditions = application.status().get("conditions", [])
            return any("behavior must be merge or replace" in each["message"] for each in conditions)

        cluster.until("Argo CD says why it cannot", says, 120)
        assert uids(cluster) == before
    finally:
        application.revert()


def test_a_broken_rollout_leaves_the_old_pods_whole(application: Application) -> None:
    """Old pods serve on, and an old container that is killed meanwhile still finds its ConfigMap."""
    cluster = application.cluster
    cluster.vhm("remember", MEMORY, "--at", "2026-07-07T20:00:00Z")
    [before] = cluster.pods("app=resonance")
    old = configs(cluster)
    application.edit(SETTINGS, "RESONANCE_MAX_BEATS=4", "RESONANCE_MAX_BEATS=four")
    broken = application.commit()
    try:

        def tried() -> bool:
            return application.shown()[3] == broken and len(cluster.pods("app=resonance")) == 2

        cluster.until("the broken commit is tried", tried, 120)
        cluster.until("the new pod ends", lambda: any(p.restarts for p in cluster.pods("app=resonance")), 60)
        assert application.shown()[1] != "Healthy"
        assert old < configs(cluster)
        cluster.inside("exec", before.name, "--", "python", "-c", "import os; os.kill(1, 15)")

        def is_back() -> bool:
            [pod] = [pod for pod in cluster.pods("app=resonance") if pod.name == before.name]
            return pod.restarts == before.restarts + 1 and pod.ready

        cluster.until("the old container is back", is_back, 90)
        assert MEMORY in cluster.vhm("recall", "the sails in the wind", "--json")
    finally:
        application.revert()
    assert [pod.name for pod in cluster.pods("app=resonance")] == [before.name]
    assert MEMORY in cluster.vhm("recall", "the sails in the wind", "--json")


def test_only_what_was_dropped_from_git_is_pruned(application: Application) -> None:
    """A policy goes with its line; the namespace and the claims stay whatever git says."""
    cluster = application.cluster
    before = uids(cluster)
    objects = "services,deployments,statefulsets,networkpolicies,persistentvolumeclaims"
    there = set(cluster.inside("get", objects, "-o", "name").split())
    application.edit("base/shared/kustomization.yaml", "- namespace.yaml\n", "")
    application.edit("base/shared/kustomization.yaml", "- networkpolicy-health.yaml\n", "")
    application.commit()
    gone = {"networkpolicy.networking.k8s.io/health"}

    def left() -> set[str]:
        return set(cluster.inside("get", objects, "-o", "name").split())

    try:
        cluster.until("the policy is pruned", lambda: left() == there - gone, 120)
        time.sleep(5)
        assert left() == there - gone
        assert f"namespace/{NAMESPACE}" in cluster.kubectl("get", "namespaces", "-o", "name")
        assert uids(cluster) == before
    finally:
        application.revert()
    assert left() == there
