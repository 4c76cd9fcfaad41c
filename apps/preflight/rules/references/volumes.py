"""Mounts of volumes that the pod does not have."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.documents.paths import dig
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import near


@rule("mount-without-volume", family="references", severity="error", outcome="rejected by the API server")
def mount_without_volume(model: Model) -> Iterator[Violation]:
    """A `volumeMounts` (or `volumeDevices`) entry that names no volume of the pod.

    The API server refuses the workload: `volumeMounts[0].name: Not found`. A schema cannot see it, and a
    patch that renames a volume in one of the two places is all it takes.

        volumeMounts:
        - name: temp               # the volume is called tmp
          mountPath: /tmp
    """
    for workload in model.workloads:
        names = [str(volume.get("name")) for volume in workload.volumes] + [
            str(name.doc) for name in workload.obj.fields("spec.volumeClaimTemplates.*.metadata.name")
        ]
        for container in workload.containers:
            for field in ("volumeMounts", "volumeDevices"):
                for index, mount in enumerate(container.items(field)):
                    name = dig(mount, "name")
                    if isinstance(name, str) and name and name not in names:
                        meant = near(name, names)
                        yield at(
                            container,
                            field,
                            index,
                            "name",
                            message=f"mount {name}: the pod has no volume of that name"
                            + (f"; did you mean {meant}?" if meant else ""),
                            fix=f"write {meant}" if meant else f"add a volume {name}, or remove the mount",
                        )
