"""Ports of Services that are named elsewhere, and the Services StatefulSets are named by."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.cluster.services import Service
from preflight.facts.service_references import Backend, backends
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import near


@rule("missing-service-port", family="references", severity="error", outcome="ready but unreachable")
def missing_service_port(model: Model) -> Iterator[Violation]:
    """A port of a Service, by number or name, that the Service does not have.

    An Ingress or Gateway route to it answers 503 or 500, and a webhook's calls fail. The number meant is the
    Service's `port`, not the pods'.

        backend:
          service:
            name: indexer-service
            port:
              number: 80               # the Service has 8080
    """
    for backend in backends(model):
        service = _find(model, backend)
        port = backend.port
        if service is None or port is None or service.obj.get("spec", "type") == "ExternalName":
            continue
        numbers = [each.get("port") for each in service.ports]
        names = [str(each["name"]) for each in service.ports if "name" in each]
        if port not in (numbers if isinstance(port, int) else names):
            known = ", ".join(str(each) for each in (numbers if isinstance(port, int) else names)) or "none"
            meant = near(port, names) if isinstance(port, str) else None
            only = numbers[0] if isinstance(port, int) and len(numbers) == 1 else None
            yield at(
                backend.obj,
                *backend.port_path,
                message=f"Service {backend.name} has no port {port}: it has {known}",
                fix=f"write {meant or only or f'one of {known}'}",
                outcome=backend.outcome,
            )


def _find(model: Model, backend: Backend) -> Service | None:
    wanted = (backend.namespace, backend.name)
    return next((service for service in model.services if (service.namespace, service.name) == wanted), None)


@rule(
    "governing-service-selects-others",
    family="references",
    severity="warning",
    outcome="ready but unreachable",
)
def governing_service_selects_others(model: Model) -> Iterator[Violation]:
    """A StatefulSet whose `serviceName` is a Service that does not select its pods.

    The pods run and have no names of their own in DNS (`kafka-0.kafka`).

        serviceName: kafka             # its selector is app: broker; the pods have app: kafka
    """
    for workload in model.workloads:
        name = workload.obj.get("spec", "serviceName")
        if workload.kind != "StatefulSet" or not isinstance(name, str):
            continue
        service = model.find("Service", workload.namespace, name)
        selector = service.mapping("spec", "selector") if service is not None else {}
        if not selector.items() <= workload.labels.items():
            yield at(
                workload.obj,
                "spec",
                "serviceName",
                message=f"Service {name} does not select the pods of {workload.obj.ref}: no names in DNS",
                fix="name the Service that selects them",
            )
