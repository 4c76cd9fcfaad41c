"""The id a broker's volume was formatted with: `--against REF`."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.model import Model
from preflight.rules.registry import Violation, at, rule

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
                source = after.source
                part, path = (source, ("data", after.key)) if source else (container.obj, after.path)
                yield at(
                    part,
                    *path,
                    place=after.place,
                    message=f"{name} was {values[0]} where {container.obj.ref} is installed with its volume",
                    fix="keep the id the volume was formatted with",
                )
