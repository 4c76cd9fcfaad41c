"""The whole system of a broken case in a namespace of its own, and what a client sees of it."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from cluster import images
from cluster.cluster import HERE, Cluster, ClusterError
from cluster.predictions import CLEAN, CLUSTER_WIDE, Prediction, documents, stream

STARTED = 75.0
"""Seconds that a broker and a store may run until they are ready."""
NEVER = 40.0
"""Seconds after that in which what is not ready never will be."""
NUMBERS = itertools.count(1)
PROVIDED = """
apiVersion: v1
kind: Secret
metadata: {name: kafka-ca}
stringData: {ca.crt: an authority}
"""
"""What overlays/production takes for granted."""

REACHED = {
    "service-selector-misspelt": ("outside", "resonance-service.{}:8080", "indexer-service.{}:8080"),
}
"""Where each case's fault is knocked at: from where, the address it concerns, and one that it does not."""


@contextlib.contextmanager
def namespace(cluster: Cluster, case: str, restricted: bool = True) -> Iterator[str]:
    """A namespace for the case, another each time, Pod Security as in the overlays where `restricted`."""
    name = f"case-{re.sub('[^a-z0-9-]', '-', case)[:50]}-{next(NUMBERS)}"
    labels = "{pod-security.kubernetes.io/enforce: restricted}" if restricted else "{}"
    cluster.apply(f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {labels}}}\n")
    # the controllers give a new namespace its service account a moment later
    accounts = ("-n", name, "get", "serviceaccounts", "-o", "name")
    cluster.until(f"{name} is whole", lambda: cluster.kubectl(*accounts))
    cluster.kubectl("-n", name, "apply", "-f", "-", stdin=PROVIDED)
    try:
        yield name
    finally:
        cluster.kubectl("delete", "namespace", name, "--wait=false")


def apply(cluster: Cluster, objects: str, *options: str) -> str:
    """Apply what can be applied; the server's words on the rest."""
    try:
        cluster.kubectl("apply", "-f", "-", *options, stdin=objects)
    except ClusterError as failed:
        return str(failed)
    return ""


def pods_of(cluster: Cluster, namespace: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(cluster.kubectl("-n", namespace, "get", "pods", "-o", "json"))[
        "items"
    ]
    return found


def is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def all_ready(pods: list[dict[str, Any]]) -> bool:
    return bool(pods) and all(map(is_ready, pods))


def ran(pod: dict[str, Any], seconds: float) -> bool:
    """Whether the pod's containers have been running for so long, or were restarted meanwhile."""
    since = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()
    return all(
        each["restartCount"] > 0 or each["state"].get("running", {}).get("startedAt", "9") < since
        for each in pod["status"].get("containerStatuses", [{"restartCount": 0, "state": {}}])
    )


def app_of(pod: dict[str, Any]) -> str:
    """Which workload a pod is of."""
    return str(pod["metadata"]["labels"].get("app", ""))


@contextlib.contextmanager
def outside(cluster: Cluster) -> Iterator[str]:
    """A namespace without policies, with a pod to knock from, for as long as cases are tried."""
    with namespace(cluster, "outside") as name:
        cluster.apply(_client(name))
        cluster.kubectl("-n", name, "wait", "--for=condition=Ready", "pod/client", "--timeout=60s")
        yield name


def _client(name: str) -> str:
    """A pod with our image that may speak to broker and store, and starts nothing."""
    pod = (HERE / "client.yaml").read_text().replace("TAG", images.tag())
    label = '    kafka-client: "true"\n'
    pod = pod.replace(label, f'{label}    qdrant-client: "true"\n')
    return pod.replace("namespace: vhm", f"namespace: {name}")


class CaseSystem:
    """The whole system of one case."""

    def __init__(self, cluster: Cluster, name: str, outside: str) -> None:
        self.cluster = cluster
        self.name = name
        self.outside = outside

    def observe(self, prediction: Prediction) -> str:
        """Ready, reachable, told: the first of them that is not so."""
        self._create(documents(prediction.folder, self.name))
        if self._late("kafka" in prediction.object):
            return self._why_not()
        if prediction.case in REACHED:
            return self._reach(*REACHED[prediction.case])
        return self._tell()

    def clean(self) -> tuple[float, str]:
        """The clean overlay, as a case: seconds until it is ready, and what a client then sees."""
        began = time.monotonic()
        self._create(documents(CLEAN, self.name))
        late = self._late(False)
        return time.monotonic() - began, self._why_not() if late else self._tell()

    def _create(self, found: list[str]) -> None:
        apply(self.cluster, stream(found, lambda name: name.partition("/")[0] not in CLUSTER_WIDE))
        self.cluster.apply(_client(self.name))

    def _late(self, of_the_broker: bool) -> bool:
        """Whether anything is still not ready when it should long have been, however busy the node is.

        What the workers stand on must be ready first, but where the fault is the broker's own.
        """
        until, limit = 0.0, time.monotonic() + 300
        while time.monotonic() < limit:
            pods = [pod for pod in self._pods() if pod["status"]["phase"] != "Succeeded"]
            if len(pods) > 1 and all_ready(pods):
                return False
            if until and time.monotonic() > until:
                return True
            behind = [pod for pod in pods if app_of(pod) in ("kafka", "qdrant")]
            settled = all(is_ready(pod) or (of_the_broker and ran(pod, STARTED)) for pod in behind)
            if not until and len(behind) == 2 and settled and all(ran(pod, 10) for pod in pods):
                until = time.monotonic() + NEVER
            time.sleep(2)
        return True

    def _why_not(self) -> str:
        """`never ready` and who, for pods that run and wait; kubectl's word for what does not even run."""
        late = [pod for pod in self._pods() if not is_ready(pod)]
        waiting = {
            status["state"]["waiting"]["reason"]
            for pod in late
            for status in pod["status"].get("containerStatuses", [])
            if "waiting" in status["state"]
        }
        who = ", ".join(sorted(set(map(app_of, late))))
        return f"{', '.join(sorted(waiting)) or 'never ready'}: {who}"

    def _pods(self, app: str = "") -> list[dict[str, Any]]:
        return [pod for pod in pods_of(self.cluster, self.name) if app in ("", app_of(pod))]

    def _kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return self.cluster.kubectl("-n", self.name, *arguments, stdin=stdin)

    def _reach(self, where: str, address: str, neighbour: str) -> str:
        """Whether the address is out of reach, from where its neighbour is in reach."""
        namespace, pod = (self.outside, "client") if where == "outside" else (self.name, where)
        asked = [each.format(self.name) for each in (address, neighbour) if each]
        script = (HERE / "inside" / "reach.py").read_text(encoding="utf-8")
        command = ("-n", namespace, "exec", "-i", pod, "--", "python", "-", *asked)
        said = json.loads(self.cluster.kubectl(*command, stdin=script))
        if not all(said[each] for each in asked[1:]):
            return f"{asked[1]} is out of reach as well"
        return "reachable" if said[asked[0]] else f"ready but unreachable: {asked[0]}"

    def _tell(self) -> str:
        """Whether a memory is remembered, recalled and retold."""
        memory = "The ferry to the island was late and we ate plums on the pier."
        vhm = ("exec", "client", "--", "vhm")
        try:
            self._kubectl(*vhm, "remember", memory, "--at", "2026-06-01T08:00:00Z")
        except ClusterError as failed:
            return f"ready but silent: {str(failed).splitlines()[1][:120]}"
        try:
            told = json.loads(self._kubectl(*vhm, "recall", "plums on the pier", "--json"))
        except ClusterError as failed:
            return f"ready but silent: {str(failed).splitlines()[1][:120]}"
        if memory not in [beat["text"] for beat in told["beats"]]:
            return "ready but silent: what was remembered is not recalled"
        return "told" if told["retelling"] else "ready but silent: nothing is retold"
