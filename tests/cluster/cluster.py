"""A cluster as these tests use it: kubectl, what its pods are doing, and programs run inside it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from tools import binary

NAMESPACE = "vhm"
WORKERS = ("indexer", "resonance", "reteller")
STORY = (
    ("We moved into the house by the river when the apple trees were in bloom.", "2026-05-02T10:00:00Z"),
    ("The river flooded the cellar and the whole street came to carry boxes.", "2026-08-19T21:00:00Z"),
    ("From the garden we watched the boats on the river until it was dark.", "2026-09-30T18:00:00Z"),
)
"""Memories of a river, and when they were made."""
HERE = Path(__file__).parent
ROOT = HERE.parents[1]


class Pod(msgspec.Struct, frozen=True):
    """One pod, as the node reports it."""

    name: str
    uid: str
    app: str
    ready: bool
    restarts: int
    waiting: str


class ClusterError(AssertionError):
    """A command that did not succeed, with its own words."""


class Cluster:
    """One cluster by its kubeconfig; everything happens in the namespace vhm unless said otherwise."""

    def __init__(self, kubeconfig: Path, overlay: Path) -> None:
        self.environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
        self.overlay = overlay

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout: float = 120) -> str:
        """kubectl's output. Raises ClusterError."""
        done = subprocess.run(
            ["kubectl", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            env=self.environment,
            timeout=timeout,
            check=False,
        )
        if done.returncode != 0:
            raise ClusterError(f"kubectl {' '.join(arguments)}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def inside(self, *arguments: str, stdin: str | None = None, timeout: float = 120) -> str:
        """kubectl within the namespace."""
        return self.kubectl("-n", NAMESPACE, *arguments, stdin=stdin, timeout=timeout)

    def apply(self, stream: str | None = None) -> str:
        """Apply a rendered stream, or the overlay as it is."""
        if stream is None:
            return self.kubectl("apply", "-k", str(self.overlay))
        return self.kubectl("apply", "-f", "-", stdin=stream)

    def render(self, folder: Path | None = None, **settings: dict[str, str]) -> str:
        """The overlay's objects; `settings` are ConfigMaps (underscores for dashes) with changed values."""
        if not settings:
            return _kustomize(folder or self.overlay)
        changed = ROOT / ".cache" / "cluster-test"
        changed.mkdir(parents=True, exist_ok=True)
        maps = [
            {
                "name": name.replace("_", "-"),
                "behavior": "merge",
                "literals": [f"{key}={value}" for key, value in values.items()],
            }
            for name, values in settings.items()
        ]
        base = os.path.relpath(folder or self.overlay, changed)
        (changed / "kustomization.yaml").write_bytes(
            msgspec.json.encode({"resources": [base], "configMapGenerator": maps})
        )
        return _kustomize(changed)

    def pods(self, selector: str = "") -> list[Pod]:
        """The namespace's pods that are not on their way out."""
        found = msgspec.json.decode(self.inside("get", "pods", "-l", selector, "-o", "json"))
        return [_pod(item) for item in found["items"] if "deletionTimestamp" not in item["metadata"]]

    def ready(self) -> bool:
        """Whether every workload has the pods it asked for, all of them ready and of the latest kind."""
        found = msgspec.json.decode(self.inside("get", "deployments,statefulsets", "-o", "json"))
        return bool(found["items"]) and all(_settled(item) for item in found["items"])

    def wait_until_ready(self, seconds: float = 120) -> float:
        """Seconds until `ready`; raises with what each pod was doing when that takes too long."""
        return self.until("every workload ready", self.ready, seconds)

    def until(self, what: str, true: Callable[[], Any], seconds: float = 60) -> float:
        """Wait until `true()`; returns how long that took."""
        began = time.monotonic()
        while not true():
            if time.monotonic() - began > seconds:
                pods = "\n".join(str(pod) for pod in self.pods())
                events = self.inside("get", "events", "--sort-by=.lastTimestamp").splitlines()[-15:]
                raise ClusterError(f"{what}: not within {seconds:.0f} s\n{pods}\n" + "\n".join(events))
            time.sleep(0.5)
        return time.monotonic() - began

    def vhm(self, *arguments: str, timeout: float = 120) -> str:
        """The command line, as a person runs it in a pod that has all it needs."""
        return self.inside("exec", "deployment/indexer", "--", "vhm", *arguments, timeout=timeout)

    def python(self, where: str, script: Path, *arguments: str, timeout: float = 300) -> Any:
        """A script run in a pod that has our image; what it prints is JSON."""
        said = self.inside(
            *("exec", "-i", where, "--", "python", "-", *arguments),
            stdin=script.read_text(encoding="utf-8"),
            timeout=timeout,
        )
        return msgspec.json.decode(said)

    @contextlib.contextmanager
    def background(self, where: str, script: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """As `python`, but running while the block runs; its output is read with `communicate()`."""
        command = ["kubectl", "-n", NAMESPACE, "exec", "-i", where, "--", "python", "-", *arguments]
        running = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
        )
        assert running.stdin is not None
        running.stdin.write(script.read_text(encoding="utf-8"))
        running.stdin.close()
        running.stdin = None
        try:
            yield running
        finally:
            running.kill()
            running.wait()


def _kustomize(folder: Path) -> str:
    done = subprocess.run([binary("kustomize"), "build", folder], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ClusterError(done.stderr)
    return done.stdout


def _pod(item: dict[str, Any]) -> Pod:
    statuses = item["status"].get("containerStatuses", [])
    return Pod(
        name=item["metadata"]["name"],
        uid=item["metadata"]["uid"],
        app=item["metadata"].get("labels", {}).get("app", ""),
        ready=bool(statuses) and all(status["ready"] for status in statuses),
        restarts=sum(status["restartCount"] for status in statuses),
        waiting=", ".join(s["state"]["waiting"]["reason"] for s in statuses if "waiting" in s["state"]),
    )


def _settled(item: dict[str, Any]) -> bool:
    status, wanted = item["status"], item["spec"].get("replicas", 1)
    seen = status.get("observedGeneration") == item["metadata"]["generation"]
    counts = [status.get(key, 0) for key in ("replicas", "readyReplicas", "updatedReplicas")]
    return seen and counts == [wanted] * 3
