"""Members of a cluster, each of which must have an identity of its own."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.cluster.workloads import Container
from preflight.documents.paths import Step
from preflight.facts.known_images import known, shown
from preflight.facts.settings import written_at
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule


@rule("identity-shared-by-pods", family="messaging", severity="error", outcome="CrashLoopBackOff")
def identity_shared_by_pods(model: Model) -> Iterator[Violation]:
    """Several pods of one workload that are all given the same node id or member name.

    All pods of a StatefulSet have the same variables. Three Kafka brokers with KAFKA_NODE_ID=0 are one voter
    and two strangers: the quorum is never complete. ZooKeeper's id and etcd's name are alike. The pod's name
    or its ordinal (label apps.kubernetes.io/pod-index) differs from pod to pod.

        env: [{name: KAFKA_NODE_ID, value: "0"}]       # and replicas: 3
    """
    for container in model.containers:
        count = container.workload.replicas
        words = " ".join([*container.command, *container.args])
        if (
            container.role == "init"
            or count < 2
            or container.workload.kind in ("Job", "CronJob", "DaemonSet")
        ):
            continue
        for name in known(container.image).own_each:
            offered = container.env.get(name)
            if offered is not None and offered.value and not offered.is_secret and name not in words:
                part, path = written_at(container, offered)
                value, place = offered.value, offered.place
            elif (found := _option(container, name)) is not None:
                part, (path, value), place = container, found, None
            else:
                continue
            yield at(
                part,
                *path,
                message=f"{name} is {value} in each of the {count} pods of {container.workload.name}, and "
                f"{shown(container.image)} expects another in each",
                fix="take it from the pod: fieldPath metadata.labels['apps.kubernetes.io/pod-index'] or "
                "metadata.name",
                place=place,
            )


def _option(container: Container, name: str) -> tuple[tuple[Step, ...], str] | None:
    """Where an option is given a value that is the same in every pod, and that value."""
    for field in ("command", "args"):
        words = [str(word) for word in container.items(field)]
        for index, word in enumerate(words):
            value = word.partition("=")[2] if word.startswith(f"{name}=") else ""
            if word == name and index + 1 < len(words):
                index, value = index + 1, words[index + 1]
            if name.startswith("--") and value and "$" not in value:
                return (field, index), value
    return None
