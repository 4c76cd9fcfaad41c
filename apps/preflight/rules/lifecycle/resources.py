"""Requests and limits: their units, and one against the other."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from preflight.cluster.quantities import quantity
from preflight.cluster.workloads import Container
from preflight.facts.settings import import_memory
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule

LEAST = Decimal(4 * 2**20)
"""Bytes below which no container starts: the runtime itself needs more to start it."""

NO_ROOM_FOR_TOKEN = Decimal(2 * 4096)
"""Bytes of two pages: the service account's token, authority and namespace take one each (seen on 1.34)."""


def amount(container: Container, kind: str, resource: str) -> Decimal | None:
    """A container's request or limit as a number."""
    return quantity(container.get("resources", kind, resource))


@rule("memory-too-small", family="lifecycle", severity="error", outcome="Pending")
def memory_too_small(model: Model) -> Iterator[Violation]:
    """A memory limit in the wrong unit: `m` is thousandths of a byte, no suffix is bytes.

    The API server takes both. No process starts in so little: the kubelet reports FailedCreatePodSandBox or
    StartError (`container init was OOM-killed (memory limit too low?)`) and the pod stays in
    ContainerCreating; where not even the service account's token has room, FailedMount. A request of that
    size is only a warning: it reserves nothing.

        limits:
          memory: 512m       # 512Mi
    """
    for container in model.containers:
        limit = amount(container, "limits", "memory")
        small = limit is not None and 0 < limit < LEAST
        for kind in ("limits", "requests"):
            given, size = container.get("resources", kind, "memory"), amount(container, kind, "memory")
            if size is None or not 0 < size < (LEAST if kind == "limits" else Decimal(2**20)):
                continue
            if kind == "requests" and small:
                continue
            full = kind == "limits" and _has_no_room_for_token(container, size)
            text = str(given)
            better = f"{text.rstrip('mkK')}Mi" if text.rstrip("mkK").isdigit() else "a number of Mi"
            yield at(
                container.field("resources", kind, "memory"),
                message=f"{kind}.memory {text} is {size.normalize():f} bytes",
                fix=f"write {better}",
                severity="error" if kind == "limits" else "warning",
                outcome="FailedMount" if full else None,
            )


def _has_no_room_for_token(container: Container, limit: Decimal) -> bool:
    """Whether the pod's limit, which is that of its volumes in memory as well, is below what the files of its
    service account take. Other containers would add theirs."""
    pod = container.workload.pod
    alone = len(pod.get("containers") or ()) == 1
    return alone and limit <= NO_ROOM_FOR_TOKEN and pod.get("automountServiceAccountToken") is not False


@rule("request-above-limit", family="lifecycle", severity="error", outcome="rejected by the API server")
def request_above_limit(model: Model) -> Iterator[Violation]:
    """A request that is higher than the limit of the same resource.

    `must be less than or equal to memory limit`. A patch that lowers the limit alone is the usual cause.

        requests: {memory: 256Mi}
        limits: {memory: 128Mi}
    """
    for container in model.containers:
        requests = container.get("resources", "requests")
        for name in requests if isinstance(requests, dict) else ():
            low, high = amount(container, "requests", name), amount(container, "limits", name)
            if low is not None and high is not None and low > high >= 0:
                limit = container.get("resources", "limits", name)
                yield at(
                    container.field("resources", "limits", name),
                    message=f"limits.{name} {limit} is below requests.{name} {requests[name]}",
                    fix="raise the limit or lower the request",
                )


INTERPRETER = 8 * 2**20
"""Bytes of a Python that has imported nothing."""


@rule("memory-below-import", family="lifecycle", severity="error", outcome="OOMKilled")
def memory_below_import(model: Model) -> Iterator[Violation]:
    """A memory limit below what the app takes to be imported.

    What importing the declared settings and app takes is measured here, in an interpreter that may have other
    versions of the libraries: an error below half of it, a warning below all of it. What the app takes at
    work comes on top.

        limits:
          memory: 64Mi                 # importing shop.main takes 180Mi
    """
    for container in model.containers:
        limit, taken = amount(container, "limits", "memory"), import_memory(model, container)
        if limit is None or not taken or not LEAST <= limit < taken + INTERPRETER:
            continue
        app = model.app(container)
        name = (app.config.app or app.config.settings or "").partition(":")[0] if app is not None else ""
        yield at(
            container.field("resources", "limits", "memory"),
            message=f"importing {name} takes {(taken + INTERPRETER) // 2**20}Mi here, and the memory limit "
            f"of {container.name} is {container.get('resources', 'limits', 'memory')}",
            fix=f"write at least {2 * (taken + INTERPRETER) // 2**20}Mi",
            severity="error" if limit < (taken + INTERPRETER) / Decimal(2) else "warning",
        )
