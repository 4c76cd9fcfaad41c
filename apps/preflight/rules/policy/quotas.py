"""What a namespace's own quotas refuse, where the render holds them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Literal

from preflight.cluster.quantities import quantity
from preflight.cluster.workloads import Container
from preflight.model import Model
from preflight.rules.references.missing import refused
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
                        silent.field("resources", kind, resource),
                        message=f"{kind}.{resource} is not set, as required by ResourceQuota {quota.name}",
                        fix=f"set resources.{kind}.{resource}",
                        outcome=refused(workload.obj),
                    )
                elif sum(main) > most:
                    yield at(
                        quota.field("spec", "hard", name),
                        message=f"hard.{name} is {hard[name]}, one pod of {workload.obj.ref} alone asks for "
                        f"{sum(main):f}",
                        fix="raise the quota, or ask for less",
                        outcome=refused(workload.obj),
                    )


def _size(container: Container, kind: Kind, resource: str) -> Decimal | None:
    """A request or limit; a limit stands in for a request that is not given."""
    given = container.get("resources", kind, resource)
    if given is None and kind == "requests":
        given = container.get("resources", "limits", resource)
    return quantity(given)
