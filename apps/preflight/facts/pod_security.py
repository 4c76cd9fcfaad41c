"""The Pod Security Standards a namespace enforces on its pods."""

from __future__ import annotations

from typing import Literal

from preflight.cluster.workloads import Workload
from preflight.model import Model

ENFORCE = "pod-security.kubernetes.io/enforce"
Level = Literal["", "baseline", "restricted"]


def enforced(model: Model, workload: Workload) -> Level:
    """The level that the render's own Namespace enforces on a workload's pods; empty for none.

    What a cluster enforces by itself (AdmissionConfiguration, labels put on elsewhere) is not known here.
    """
    namespace = model.find("Namespace", "", workload.namespace)
    level = namespace.labels.get(ENFORCE) if namespace is not None else None
    if level == "restricted":
        return "restricted"
    return "baseline" if level == "baseline" else ""
