"""A clean run with its times: cluster up, images, apply, READY, the story told, torn down.

    KUBECONFIG=… uv run python tests/cluster/clean_run.py [--up COMMAND] [--down COMMAND]

`--up` makes the cluster (`minikube start`, `kind create cluster`) and `--down` takes it away; without them
the one of KUBECONFIG is used and left. images.py says how the images get there.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from cluster import images  # noqa: E402 - from this checkout's tests
from cluster.cluster import HERE, NAMESPACE, ROOT, STORY, Cluster  # noqa: E402

BEGAN = time.monotonic()


@contextlib.contextmanager
def step(what: str) -> Iterator[None]:
    """Say how long it took."""
    began = time.monotonic()
    yield
    now = time.monotonic()
    print(f"{now - BEGAN:7.1f} s  {what} ({now - began:.1f} s)", flush=True)


def show(text: str) -> None:
    """What a person sees, under the step it belongs to."""
    for line in text.strip().splitlines():
        print(f"           {line}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--up", type=shlex.split)
    parser.add_argument("--down", type=shlex.split)
    asked = parser.parse_args()
    if asked.up:
        with step(f"cluster up: {shlex.join(asked.up)}"):
            subprocess.run(asked.up, check=True, capture_output=True)
    try:
        run()
    finally:
        if asked.down:
            with step("cluster down"):
                subprocess.run(asked.down, check=True, capture_output=True)
    return 0


def run() -> None:
    """Everything between the cluster's coming and going."""
    standins = images.standins()
    overlay = HERE / "minikube-standins" if standins else ROOT / "overlays" / "minikube"
    cluster = Cluster(Path(os.environ["KUBECONFIG"]), overlay)
    load = images.load_command(cluster.kubectl("config", "current-context").strip())
    if load is None:
        raise SystemExit("how does this cluster load an image archive? set VHM_TEST_LOAD to the command")
    show(cluster.kubectl("version"))
    with step(f"worker image {images.tag()} built"):
        archive = images.worker_archive()
    for each in (archive, *(sorted(standins.glob("[kq]*[at].tar")) if standins else ())):
        with step(f"{each.name} loaded into the node"):
            images.load(load, each)
    with step(f"kubectl apply -k {overlay.relative_to(ROOT)}"):
        cluster.apply()
    with step("every workload READY"):
        cluster.wait_until_ready(180)
    show(cluster.inside("get", "pods"))
    with step("three memories remembered"):
        for text, at in STORY:
            cluster.vhm("remember", text, "--at", at)
    tell(cluster)
    assert not [pod for pod in cluster.pods() if pod.restarts], "something was restarted"
    with step("kubectl delete --selector '!vhm/keep': torn down, the memories kept"):
        cluster.kubectl("delete", "-k", str(overlay), "--selector", "!vhm/keep", timeout=180)
    show(cluster.inside("get", "persistentvolumeclaims"))
    with step("applied again, every workload READY"):
        cluster.apply()
        cluster.wait_until_ready(180)
    tell(cluster)
    with step("kubectl delete: torn down"):
        cluster.kubectl("delete", "-k", str(overlay), timeout=180)
    assert f"namespace/{NAMESPACE}" not in cluster.kubectl("get", "namespaces", "-o", "name").split()


def tell(cluster: Cluster) -> None:
    """The story, told by the cluster's own workers."""
    with step("recalled and retold"):
        told = cluster.vhm("recall", "the river")
    show(told)


if __name__ == "__main__":
    sys.exit(main())
