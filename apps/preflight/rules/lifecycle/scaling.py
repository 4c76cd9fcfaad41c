"""Autoscalers and the workloads they scale."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.cluster.objects import Obj
from preflight.cluster.workloads import Workload
from preflight.documents.paths import dig
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule


def scalers(model: Model) -> Iterator[tuple[Obj, Workload]]:
    """Autoscalers of the render with the workloads they scale."""
    for obj in model.objects_of("HorizontalPodAutoscaler", "ScaledObject"):
        ref = obj.get("spec", "scaleTargetRef")
        kind, name = dig(ref, "kind", default="Deployment"), dig(ref, "name")
        for workload in model.workloads:
            if (workload.kind, workload.name, workload.namespace) == (kind, name, obj.namespace):
                yield obj, workload


def scaled(model: Model, workload: Workload) -> bool:
    """Whether an autoscaler of the render sets the number of a workload's pods."""
    return any(each is workload for _, each in scalers(model))


@rule("autoscaler-beside-replicas", family="lifecycle", severity="warning", outcome="applies nothing")
def autoscaler_beside_replicas(model: Model) -> Iterator[Violation]:
    """`replicas` in the manifest of a workload that an autoscaler scales.

    Each apply sets the number back, whatever the load, until the autoscaler moves it again; a GitOps
    controller does so for ever. Leave `replicas` out (`replicas: null` in a patch).

        kind: Deployment
        spec: {replicas: 2}            # and a HorizontalPodAutoscaler for it
    """
    for scaler, workload in scalers(model):
        number = workload.obj.get("spec", "replicas")
        if number is not None and number != 0:
            yield at(
                workload.obj.field("spec", "replicas"),
                message=f"replicas: {number} is set at each apply, over what {scaler.ref} has scaled to",
                fix="remove replicas, or set replicas: null in the patch",
            )


@rule("autoscaler-without-requests", family="lifecycle", severity="error", outcome="applies nothing")
def autoscaler_without_requests(model: Model) -> Iterator[Violation]:
    """An autoscaler by utilization of a resource that a container does not request.

    Utilization is a share of the request: without one on every container of the pod the metric is
    `<unknown>` and nothing is scaled (`missing request for cpu`). A limit stands in for its request; a
    LimitRange of the namespace may give one.

        target: {type: Utilization, averageUtilization: 80}      # and no requests.cpu
    """
    for scaler, workload in scalers(model):
        if scaler.kind != "HorizontalPodAutoscaler" or workload.get("resources") is not None:
            continue
        if any(obj.namespace == workload.namespace for obj in model.objects_of("LimitRange")):
            continue
        metrics = [("cpu", scaler.field("spec", "targetCPUUtilizationPercentage"), None)]
        if scaler.api_version == "autoscaling/v2" and scaler.get("spec", "metrics") is None:
            metrics.append(("cpu", scaler.field("spec", "scaleTargetRef"), None))
        for name in ("resource", "containerResource"):
            metrics += [
                (metric.get("name"), metric.field("name"), metric.get("container"))
                for metric in scaler.fields(f"spec.metrics.*.{name}")
                if metric.get("target", "type") == "Utilization"
            ]
        for resource, field, only in metrics:
            lacking = [
                container.name
                for container in workload.containers
                if container.role != "init"
                and (only is None or container.name == only)
                and not _requests(container.doc.get("resources"), resource)
            ]
            if lacking and field.doc is not None and isinstance(resource, str):
                yield at(
                    field,
                    message=f"{scaler.ref} scales by utilization of the {resource} request, and "
                    f"{' and '.join(lacking)} of {workload.obj.ref} has none",
                    fix=f"give {' and '.join(lacking)} requests.{resource}",
                )


def _requests(resources: object, name: object) -> bool:
    return isinstance(name, str) and any(
        dig(resources, kind, name) is not None for kind in ("requests", "limits")
    )
