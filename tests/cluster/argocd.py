"""Argo CD's own repo-server and application controller as processes beside the cluster they reconcile.

VHM_TEST_ARGOCD  Argo CD's program, as in its image: it is the one or the other by ARGOCD_BINARY_NAME
VHM_TEST_REDIS   host:port of a Redis for the two
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from cluster.cluster import Cluster
from tools import binary
from tools.crds import DEFINITIONS, module_folder

NAMESPACE = "argocd"
SETTINGS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: argocd-cm, namespace: argocd, labels: {app.kubernetes.io/part-of: argocd}}
---
apiVersion: v1
kind: Secret
metadata: {name: argocd-secret, namespace: argocd, labels: {app.kubernetes.io/part-of: argocd}}
stringData: {server.secretkey: a-key-for-tests}
---
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: default, namespace: argocd}
spec:
  sourceRepos: ["*"]
  destinations: [{namespace: "*", server: "*"}]
  clusterResourceWhitelist: [{group: "*", kind: "*"}]
"""
"""What an installation of Argo CD makes for itself."""


def program() -> str | None:
    """Argo CD's program, if one was given."""
    return os.environ.get("VHM_TEST_ARGOCD")


def redis() -> str | None:
    """The address of a Redis, if one was given."""
    return os.environ.get("VHM_TEST_REDIS")


@contextlib.contextmanager
def running(cluster: Cluster, folder: Path) -> Iterator[None]:
    """Argo CD's definitions in the cluster and its two programs beside it, their logs in the folder."""
    [module] = [name for name in DEFINITIONS if "argo-cd" in name]
    for kind in ("application", "appproject"):
        definition = module_folder(module) / "manifests" / "crds" / f"{kind}-crd.yaml"
        cluster.kubectl("apply", "--server-side", "-f", str(definition))
    established = 'jsonpath={.status.conditions[?(@.type=="Established")].status}'
    for kind in ("applications", "appprojects"):
        ask = ("get", "crd", f"{kind}.argoproj.io", "-o", established)
        cluster.until(f"{kind} are known", lambda ask=ask: cluster.kubectl(*ask) == "True")  # type: ignore[misc]
    cluster.apply(f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {NAMESPACE}}}\n")
    cluster.apply(SETTINGS)
    port = str(_free_port())
    with (
        _process(
            cluster,
            folder,
            "argocd-repo-server",
            *("--address=127.0.0.1", "--port", port, "--disable-tls"),
            *("--metrics-address=127.0.0.1", "--metrics-port", str(_free_port())),
        ),
        _process(
            cluster,
            folder,
            "argocd-application-controller",
            *("--namespace", NAMESPACE, "--repo-server", f"127.0.0.1:{port}", "--repo-server-plaintext"),
            *("--metrics-port", str(_free_port()), "--status-processors=2", "--operation-processors=2"),
            *("--app-resync=20", "--app-resync-jitter=1"),
        ),
    ):
        try:
            yield
        finally:
            cluster.kubectl("delete", "namespace", NAMESPACE, "--timeout=60s", "--ignore-not-found")


@contextlib.contextmanager
def _process(cluster: Cluster, folder: Path, name: str, *options: str) -> Iterator[None]:
    environment = {
        **cluster.environment,
        "ARGOCD_BINARY_NAME": name,
        "ARGOCD_FAKE_IN_CLUSTER": "true",
        "ARGOCD_GPG_ENABLED": "false",
        "HOME": str(folder),
        "PATH": f"{binary('kustomize').parent}{os.pathsep}{os.environ['PATH']}",
    }
    found, address = program(), redis()
    assert found
    assert address
    command = [found, *options, "--redis", address, "--logformat=text"]
    with (folder / f"{name}.log").open("w") as log:
        running = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
        try:
            yield
            assert running.poll() is None, f"{name} ended by itself: {folder / f'{name}.log'}"
        finally:
            running.terminate()
            try:
                running.wait(10)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
