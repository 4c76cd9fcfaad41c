"""Workloads whose selector does not select their own pods."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.cluster.objects import selects
from preflight.documents.paths import strings
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule

SELECTING = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")


@rule("selector-without-its-pods", family="admission", severity="error", outcome="rejected by the API server")
def selector_without_its_pods(model: Model) -> Iterator[Violation]:
    """A workload whose selector does not select the pods of its own template.

    The usual cause is a label renamed in one of the two places.

        selector:
          matchLabels: {app: indexer}
        template:
          metadata: {labels: {app: index}}
    """
    for workload in model.workloads:
        selector = workload.obj.field("spec", "selector")
        if workload.kind not in SELECTING or selector.doc is None or selects(selector.doc, workload.labels):
            continue
        wanted = strings(selector.get("matchLabels"))
        key = next((key for key, value in wanted.items() if workload.labels.get(key) != value), "")
        labels = ", ".join(f"{name}: {value}" for name, value in workload.labels.items()) or "no labels"
        asked = f"asks for {key}: {wanted[key]}, its pods have" if key else "does not select"
        yield at(
            selector.field("matchLabels", key) if key else selector.field("matchExpressions"),
            message=f"the selector of {workload.obj.ref} {asked} {labels}",
            fix="write the same in the selector and in the template's labels",
        )
