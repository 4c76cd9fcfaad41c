"""What a namespace's own quotas and ranges refuse, where the render holds them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Literal

from preflight.cluster.quantities import quantity
from preflight.cluster.workloads import Container, Workload
from preflight.documents.paths import dig
from preflight.findings import Outcome
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule

Kind = Literal["requests", "limits"]
COUNTED: dict[str, tuple[Kind, str]] = {
    "cpu": ("requests", "cpu"),
    "memory": ("requests", "memory"),
    "requests.cpu": ("requests", "cpu"),
    "requests.memory": ("requests", "memory"),
    "limits.cpu": ("limits", "cpu"),
    "limits.memory": ("limits", "memory"),
}
"""What a ResourceQuota calls it → what of containers it counts."""


@rule("quota-refuses-pods", family="policy", severity="error", outcome="no pods")
def quota_refuses_pods(model: Model) -> Iterator[Violation]:
    """Pods that a ResourceQuota of their namespace refuses: they do not say what it counts, or ask for more.

    A quota of `limits.cpu` refuses every pod with a container without that limit (`failed quota: must specify
    limits.cpu`), and one pod beyond the whole quota. A LimitRange's defaults count as said.

        hard: {limits.cpu: "8"}        # and no limits.cpu in a container
    """
    for quota in model.objects_of("ResourceQuota"):
        hard = quota.mapping("spec", "hard")
        scoped = quota.get("spec", "scopes") is not None or quota.get("spec", "scopeSelector") is not None
        ranged = any(obj.namespace == quota.namespace for obj in model.objects_of("LimitRange"))
        for name, (kind, resource) in COUNTED.items() if not scoped and not ranged else ():
            most = quantity(hard.get(name))
            if most is None:
                continue
            for workload in model.workloads:
                if workload.namespace != quota.namespace or workload.get("resources") is not None:
                    continue
                sizes = {container: _size(container, kind, resource) for container in workload.containers}
                silent = next((each for each, size in sizes.items() if size is None), None)
                main = [size for each, size in sizes.items() if size is not None and each.role != "init"]
                if silent is not None:
                    yield at(
                        silent,
                        "resources",
                        kind,
                        resource,
                        message=f"{kind}.{resource} is not set, as required by ResourceQuota {quota.name}",
                        fix=f"set resources.{kind}.{resource}",
                        outcome=_outcome(workload),
                    )
                elif sum(main) > most:
                    yield at(
                        quota,
                        "spec",
                        "hard",
                        name,
                        message=f"hard.{name} is {hard[name]}, one pod of {workload.obj.ref} alone asks for "
                        f"{sum(main):f}",
                        fix="raise the quota, or ask for less",
                        outcome=_outcome(workload),
                    )


@rule("range-refuses-pods", family="policy", severity="error", outcome="no pods")
def range_refuses_pods(model: Model) -> Iterator[Violation]:
    """A container beyond what a LimitRange of its namespace permits one.

    `maximum memory usage per Container is 256Mi, but limit is 512Mi`: the pods are never made.

        kind: LimitRange
        spec: {limits: [{type: Container, max: {memory: 256Mi}}]}
    """
    for bounds in model.objects_of("LimitRange"):
        for index, item in enumerate(bounds.items("spec", "limits")):
            if dig(item, "type") != "Container":
                continue
            for resource in ("cpu", "memory"):
                most, least = quantity(dig(item, "max", resource)), quantity(dig(item, "min", resource))
                for container in model.containers:
                    if container.obj.namespace != bounds.namespace:
                        continue
                    limit = quantity(container.get("resources", "limits", resource))
                    request = _size(container, "requests", resource)
                    for field, wrong in (
                        ("max", most is not None and limit is not None and limit > most),
                        ("min", least is not None and request is not None and request < least),
                    ):
                        if wrong:
                            given = limit if field == "max" else request
                            yield at(
                                bounds,
                                "spec",
                                "limits",
                                index,
                                field,
                                resource,
                                message=f"{field}.{resource} is {item[field][resource]}, container "
                                f"{container.name} of {container.obj.ref} has {given:f}",
                                fix="change the range or the container's resources",
                                outcome=_outcome(container.workload),
                            )


def _size(container: Container, kind: Kind, resource: str) -> Decimal | None:
    """A request or limit; a limit stands in for a request that is not given."""
    given = container.get("resources", kind, resource)
    if given is None and kind == "requests":
        given = container.get("resources", "limits", resource)
    return quantity(given)


def _outcome(workload: Workload) -> Outcome:
    return "rejected by the API server" if workload.kind == "Pod" else "no pods"
