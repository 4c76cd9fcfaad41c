"""Flux reconciles the overlay from git: rollouts, drift, broken commits, reverts, and what it must not prune.

Wants Flux's controllers in the cluster, and VHM_TEST_GIT_HOST: this machine's address as they see it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import msgspec
import pytest

from cluster.cluster import NAMESPACE, ROOT, Cluster
from cluster.conftest import Installed
from cluster.gitserver import serve
from cluster.repository import Repository

FLUX = "flux-system"
MEMORY = "The lighthouse keeper showed us how the lamp was lit."


class Reconciled:
    """A repository that Flux reads, and the Kustomization it makes of it."""

    def __init__(self, repository: Repository, cluster: Cluster) -> None:
        self.repository = repository
        self.edit = repository.edit
        self.cluster = cluster

    def commit(self) -> str:
        """Commit what was edited and ask Flux to look; the commit's name."""
        self.repository.record("a change")
        return self.look()

    def revert(self) -> None:
        """Take the newest commit back, and wait until that is applied."""
        self.repository.undo()
        self.wait_for(self.look())

    def look(self) -> str:
        """Ask Flux to look at the newest commit now; its name."""
        now = f"reconcile.fluxcd.io/requestedAt={time.time()}"
        for kind in ("gitrepository", "kustomization.kustomize.toolkit.fluxcd.io"):
            self.cluster.kubectl("-n", FLUX, "annotate", "--overwrite", kind, "vhm", now)
            time.sleep(2)
        return self.repository.head()

    def status(self) -> tuple[str, str, str]:
        """Of the Kustomization: whether it is ready, why, and the commit it last applied in full."""
        said = self.cluster.kubectl(
            "-n", FLUX, "get", "kustomization.kustomize.toolkit.fluxcd.io", "vhm", "-o", "json"
        )
        status = msgspec.json.decode(said).get("status", {})
        ready = next((c for c in status.get("conditions", []) if c["type"] == "Ready"), {})
        return ready.get("status", ""), ready.get("message", ""), status.get("lastAppliedRevision", "")

    def wait_for(self, commit: str, seconds: float = 180) -> None:
        """Until the commit is applied and everything is healthy."""
        self.cluster.until(
            f"Flux applied {commit}: {self.status()}",
            lambda: self.status()[0] == "True" and self.status()[2].endswith(commit),
            seconds,
        )

    def wait_for_failure(self, seconds: float = 180) -> str:
        """Until Flux says why it cannot; what it says."""
        self.cluster.until("Flux says why it cannot", lambda: self.status()[0] == "False", seconds)
        return self.status()[1]


@pytest.fixture(scope="module")
def repository(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reconciled]:
    """The system handed over to Flux; afterwards to kubectl again."""
    cluster = installed.cluster
    host = os.environ.get("VHM_TEST_GIT_HOST")
    if "kustomizations.kustomize.toolkit.fluxcd.io" not in cluster.kubectl("get", "crds", "-o", "name"):
        pytest.skip("no Flux in this cluster: flux install")
    if not host:
        pytest.skip("where does the cluster see this machine? set VHM_TEST_GIT_HOST to that address")
    found = Reconciled(Repository(tmp_path_factory.mktemp("git") / "vhm"), cluster)
    with serve(found.repository.folder, host) as address:
        flux = tmp_path_factory.mktemp("flux")
        for path in (ROOT / "overlays/minikube/flux").iterdir():
            text = path.read_text(encoding="utf-8").replace("https://git.example.com/vhm.git", address)
            (flux / path.name).write_text(text.replace("timeout: 5m", "timeout: 45s"), encoding="utf-8")
        cluster.kubectl("apply", "-k", str(flux))
        try:
            found.wait_for(found.repository.head())
            yield found
        finally:
            for kind in ("kustomization.kustomize.toolkit.fluxcd.io", "gitrepository"):
                cluster.kubectl(
                    "-n", FLUX, "patch", kind, "vhm", "--type=merge", "-p", '{"spec":{"suspend":true}}'
                )
                cluster.kubectl("-n", FLUX, "delete", kind, "vhm", "--timeout=60s")
            cluster.apply()
            cluster.wait_until_ready()


def uids(cluster: Cluster, app: str) -> set[str]:
    return {pod.uid for pod in cluster.pods(f"app={app}")}


def test_a_commit_becomes_a_rollout(repository: Reconciled) -> None:
    cluster = repository.cluster
    before = uids(cluster, "resonance"), uids(cluster, "indexer")
    repository.edit("base/resonance/resonance.env", "RESONANCE_MAX_BEATS=3", "RESONANCE_MAX_BEATS=4")
    repository.wait_for(repository.commit())
    assert uids(cluster, "resonance") != before[0]
    assert uids(cluster, "indexer") == before[1]


def test_drift_is_corrected(repository: Reconciled) -> None:
    cluster = repository.cluster
    cluster.inside("delete", "service", "reteller-service")
    cluster.inside("scale", "deployment", "reteller", "--replicas=0")
    repository.look()
    cluster.until("the service is back", lambda: "reteller-service" in cluster.inside("get", "services"), 60)
    cluster.wait_until_ready()
    assert len(cluster.pods("app=reteller")) == 1


def test_a_commit_that_does_not_build_changes_nothing(repository: Reconciled) -> None:
    cluster = repository.cluster
    before = {pod.uid for pod in cluster.pods()}
    repository.edit("overlays/minikube/kustomization.yaml", "behavior: merge", "behavior: marge")
    repository.commit()
    try:
        assert "behavior must be merge or replace" in repository.wait_for_failure()
        assert {pod.uid for pod in cluster.pods()} == before
    finally:
        repository.revert()


def test_a_broken_rollout_leaves_the_old_pods_whole(repository: Reconciled) -> None:
    """Old pods serve on, and an old container that is killed meanwhile still finds its ConfigMap."""
    cluster = repository.cluster
    cluster.vhm("remember", MEMORY, "--at", "2026-07-07T20:00:00Z")
    [before] = cluster.pods("app=resonance")
    repository.edit("base/resonance/resonance.env", "RESONANCE_MAX_BEATS=4", "RESONANCE_MAX_BEATS=four")
    repository.commit()
    try:
        assert "resonance" in repository.wait_for_failure()
        old = {pod.name: pod for pod in cluster.pods("app=resonance")}
        assert old[before.name].ready
        assert [pod.ready for name, pod in old.items() if name != before.name] == [False]
        said = cluster.inside("logs", next(name for name in old if name != before.name))
        assert said.strip() == "resonance: RESONANCE_MAX_BEATS: got 'four', wants a whole number, at least 1"

        cluster.inside("exec", before.name, "--", "python", "-c", "import os; os.kill(1, 15)")
        back = {"restarts": before.restarts + 1, "ready": True}

        def is_back() -> bool:
            [pod] = [pod for pod in cluster.pods("app=resonance") if pod.name == before.name]
            return {"restarts": pod.restarts, "ready": pod.ready} == back

        cluster.until("the old container is back", is_back, 90)
        assert MEMORY in cluster.vhm("recall", "the lamp of the lighthouse", "--json")
    finally:
        repository.revert()
    assert [pod.name for pod in cluster.pods("app=resonance")] == [before.name]
    assert MEMORY in cluster.vhm("recall", "the lamp of the lighthouse", "--json")


def test_a_namespace_dropped_from_git_is_kept(repository: Reconciled) -> None:
    cluster = repository.cluster
    before = {pod.uid for pod in cluster.pods()}
    repository.edit("base/shared/kustomization.yaml", "- namespace.yaml\n", "")
    try:
        repository.wait_for(repository.commit())
        assert f"namespace/{NAMESPACE}" in cluster.kubectl("get", "namespaces", "-o", "name")
        assert {pod.uid for pod in cluster.pods()} == before
    finally:
        repository.revert()
