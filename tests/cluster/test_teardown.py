"""What the documentation says of upgrades, clean-ups and teardowns, done as it says."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec
import pytest

from cluster import images
from cluster.cluster import ROOT, Cluster

KEEP = "!vhm/keep"
"""Selects all but the namespace, and so all but the claims in it."""


def beats(cluster: Cluster, query: str) -> list[str]:
    told = msgspec.json.decode(cluster.vhm("recall", query, "--json"))
    return [beat["text"] for beat in told["beats"]]


def test_old_configuration_is_cleaned_up_by_label(cluster: Cluster) -> None:
    def configs() -> set[str]:
        names = cluster.inside("get", "configmaps", "-l", "vhm/generated-config", "-o", "name")
        return set(names.split())

    current = configs()
    cluster.apply(cluster.render(resonance_config={"RESONANCE_MAX_BEATS": "5"}))
    cluster.wait_until_ready()
    cluster.apply()
    cluster.wait_until_ready()
    assert current < configs()
    used = cluster.inside("get", "deployments,statefulsets", "-o", "jsonpath={..configMapRef.name}").split()
    others = ",".join(f"metadata.name!={name}" for name in used)
    cluster.inside("delete", "configmaps", "-l", "vhm/generated-config", f"--field-selector={others}")
    assert configs() == {f"configmap/{name}" for name in used} <= current


def test_a_teardown_that_keeps_the_claims_keeps_the_memories(cluster: Cluster) -> None:
    memory = "The old mill had a wheel of oak that turned all winter."
    cluster.vhm("remember", memory, "--at", "2026-06-01T08:00:00Z")
    assert memory in beats(cluster, "the wheel of the old mill")
    cluster.kubectl("delete", "-k", str(cluster.overlay), "-l", KEEP, timeout=180)
    assert cluster.pods() == []
    cluster.apply()
    cluster.wait_until_ready(180)
    assert memory in beats(cluster, "the wheel of the old mill")


def test_the_previous_commit_is_upgraded(cluster: Cluster, tmp_path: Path) -> None:
    """What cannot be changed in place (selectors, claim templates) was not changed."""
    tree = tmp_path / "previous"
    git = ("git", "-C", str(ROOT))
    added = subprocess.run(
        [*git, "worktree", "add", "--detach", str(tree), "HEAD~1"], capture_output=True, check=False
    )
    if added.returncode != 0 or not (tree / "overlays/minikube").is_dir():
        pytest.skip("no previous commit here: fetch more of the history")
    try:
        folder = tree / cluster.overlay.relative_to(ROOT)
        if not folder.is_dir():
            pytest.skip(f"the previous commit has no {cluster.overlay.relative_to(ROOT)}")
        text = cluster.render(folder)
        previous = text.split(f"{images.IMAGE}:", 1)[1].split()[0]
        # its image is not here; what is tried is the objects
        cluster.kubectl("delete", "-k", str(cluster.overlay), "-l", KEEP, timeout=180)
        cluster.apply(text.replace(f"{images.IMAGE}:{previous}", f"{images.IMAGE}:{images.tag()}"))
        cluster.wait_until_ready(180)
        cluster.apply()
        cluster.wait_until_ready(180)
    finally:
        subprocess.run([*git, "worktree", "remove", "--force", str(tree)], check=False)
