"""Services by name: what Ingresses, routes, StatefulSets and webhooks send to."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.cluster.objects import Obj
from preflight.cluster.services import Service
from preflight.documents.paths import Step, list_at
from preflight.facts.existence import missing
from preflight.facts.service_references import Backend, backends
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import near


@rule("missing-service", family="references", severity="warning", outcome="ready but unreachable")
def missing_service(model: Model) -> Iterator[Violation]:
    """A Service that an Ingress, a Gateway route, a webhook or an APIService sends to and nobody makes.

    An Ingress or route answers 503 for it; a webhook whose Service is absent makes the API server refuse
    everything the webhook is asked about. An error where the Service was probably meant by another name, or
    where the render makes the namespace's other Services.

        backend:
          service:
            name: indexer              # the Service is indexer-service
    """
    for backend in backends(model):
        absent = missing(model, "Service", backend.namespace, backend.name)
        if absent is not None:
            yield at(
                backend.obj,
                *backend.path,
                message=f"Service {backend.name} is not among what is applied to namespace "
                f"{backend.namespace}{absent.hint}",
                fix=f"write {absent.meant}" if absent.meant else "name a Service of that namespace",
                severity=absent.severity,
                outcome=backend.outcome,
            )


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
                fix=f"write {meant or only or 'one of them'}",
                outcome=backend.outcome,
            )


def _find(model: Model, backend: Backend) -> Service | None:
    wanted = (backend.namespace, backend.name)
    return next((each for each in model.services if (each.namespace, each.name) == wanted), None)


@rule("missing-governing-service", family="references", severity="warning", outcome="ready but unreachable")
def missing_governing_service(model: Model) -> Iterator[Violation]:
    """A StatefulSet's `serviceName` that names no Service, or one that does not select its pods.

    The pods run and have no names of their own (`kafka-0.kafka`): members of a cluster that look for each
    other that way never find each other. A StatefulSet of one pod is left alone, unless a slip explains it.

        serviceName: kafka-headless    # the Service is kafka-service
    """
    for workload in model.workloads:
        name = workload.obj.get("spec", "serviceName")
        if workload.kind != "StatefulSet" or not isinstance(name, str) or not name:
            continue
        absent = missing(model, "Service", workload.namespace, name)
        service = model.find("Service", workload.namespace, name)
        if absent is not None and (absent.meant or workload.replicas > 1):
            yield at(
                workload.obj,
                "spec",
                "serviceName",
                message=f"Service {name} is not among what is applied to namespace "
                f"{workload.namespace}{absent.hint}",
                fix=f"write {absent.meant}" if absent.meant else f"make a headless Service {name}",
                severity="error" if absent.meant else "warning",
            )
        elif service is not None and not _selects(service, workload.labels):
            yield at(
                workload.obj,
                "spec",
                "serviceName",
                message=f"Service {name} does not select these pods, so they get no names in DNS",
                fix="name the Service that selects them",
            )


def _selects(service: Obj, labels: dict[str, str]) -> bool:
    wanted = service.mapping("spec", "selector")
    return not wanted or all(labels.get(key) == value for key, value in wanted.items())


@rule("missing-ingress-class", family="references", severity="warning", outcome="ready but unreachable")
def missing_ingress_class(model: Model) -> Iterator[Violation]:
    """An IngressClass that an Ingress names and that the render does not hold.

    No controller takes the Ingress up: it never gets an address. Classes usually come with a controller that
    is installed otherwise: name yours in `provided`.

        ingressClassName: ngnix        # provided: IngressClass/nginx
    """
    provided = [ref.partition("/")[2] for ref in model.config.provided if ref.startswith("IngressClass/")]
    for ingress in model.objects_of("Ingress"):
        name = ingress.get("spec", "ingressClassName")
        absent = missing(model, "IngressClass", "", name) if isinstance(name, str) else None
        if absent is not None:
            meant = absent.meant or near(str(name), provided)
            yield at(
                ingress,
                "spec",
                "ingressClassName",
                message=f"IngressClass {name} is not known here"
                + (f"; did you mean {meant}?" if meant else ""),
                fix=f"write {meant}"
                if meant
                else f'say provided = ["IngressClass/{name}"] in [tool.preflight] if the cluster has it',
                severity="error" if meant else "warning",
            )


@rule("missing-tls-secret", family="references", severity="warning", outcome="ready but unreachable")
def missing_tls_secret(model: Model) -> Iterator[Violation]:
    """A TLS Secret that an Ingress or Gateway names and that the render does not hold.

    The controller serves its own self-signed certificate instead, or refuses the listener, and clients refuse
    to talk. Nothing is said where cert-manager is asked for it by annotation or Certificate.

        tls:
        - secretName: vhm-tsl          # the Secret is vhm-tls
    """
    for obj in model.objects_of("Ingress", "Gateway"):
        if any("cert-manager.io/" in key or "acme" in key for key in obj.annotations):
            continue
        paths: list[tuple[Step, ...]] = [
            ("spec", "tls", index, "secretName") for index, _ in enumerate(obj.items("spec", "tls"))
        ]
        for index, listener in enumerate(obj.items("spec", "listeners")):
            for number, _ in enumerate(list_at(listener, "tls", "certificateRefs")):
                paths.append(("spec", "listeners", index, "tls", "certificateRefs", number, "name"))
        for path in paths:
            name = obj.get(*path)
            namespace = str(obj.get(*path[:-1], "namespace", default=obj.namespace))
            absent = missing(model, "Secret", namespace, name) if isinstance(name, str) else None
            if absent is not None:
                yield at(
                    obj,
                    *path,
                    message=f"Secret {name} is not among what is applied to {namespace}{absent.hint}",
                    fix=f"write {absent.meant}"
                    if absent.meant
                    else f'make it, or say provided = ["Secret/{name}"] in [tool.preflight]',
                    severity=absent.severity,
                )
