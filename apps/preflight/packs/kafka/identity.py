"""Who a member of a cluster is: an identity of its own, and the cluster its volume was formatted for."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.cluster.objects import Field
from preflight.cluster.workloads import Container
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
            written: Field
            if offered is not None and offered.value and not offered.is_secret and name not in words:
                written, value = written_at(container, offered), offered.value
            elif (found := _option(container, name)) is not None:
                written, value = found
            else:
                continue
            yield at(
                written,
                message=f"{name} is {value} in each of the {count} pods of {container.workload.name}, and "
                f"{shown(container.image)} expects another in each",
                fix="take it from the pod: fieldPath metadata.labels['apps.kubernetes.io/pod-index'] or "
                "metadata.name",
            )


def _option(container: Container, name: str) -> tuple[Field, str] | None:
    """Where an option is given a value that is the same in every pod, and that value."""
    for field in ("command", "args"):
        words = [str(word) for word in container.items(field)]
        for index, word in enumerate(words):
            value = word.partition("=")[2] if word.startswith(f"{name}=") else ""
            if word == name and index + 1 < len(words):
                index, value = index + 1, words[index + 1]
            if name.startswith("--") and value and "$" not in value:
                return container.field(field, index), value
    return None


CLUSTER_IDS = ("CLUSTER_ID", "KAFKA_CLUSTER_ID", "KAFKA_CFG_CLUSTER_ID", "KAFKA_KRAFT_CLUSTER_ID")


@rule("cluster-id-over-volume", family="upgrades", severity="error", outcome="CrashLoopBackOff")
def cluster_id_over_volume(model: Model) -> Iterator[Violation]:
    """A Kafka broker whose cluster id changes while its volume stays.

    The volume remembers the id it was formatted with; the broker refuses to start with another
    (`Invalid cluster.id in: .../meta.properties`).

        CLUSTER_ID=5L6g3nShT-eMCtK--X86sw      # another one than installed
    """
    if model.before is None:
        return
    former = {(each.obj.ref, each.obj.namespace, each.name): each for each in model.before.containers}
    for container in model.containers:
        old = former.get((container.obj.ref, container.obj.namespace, container.name))
        claims = any(volume.get("persistentVolumeClaim") for volume in container.workload.volumes)
        if old is None or not (claims or container.obj.items("spec", "volumeClaimTemplates")):
            continue
        for name in CLUSTER_IDS:
            before, after = old.env.get(name), container.env.get(name)
            values = [each.value for each in (before, after) if each is not None and each.value is not None]
            if after is not None and len(values) == 2 and values[0] != values[1]:
                yield at(
                    written_at(container, after),
                    message=f"{name} was {values[0]} where {container.obj.ref} is installed with its volume",
                    fix="keep the id the volume was formatted with",
                )
