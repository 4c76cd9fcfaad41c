"""Addresses in settings: the Service is there, has the port, and its name is resolved."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from preflight.cluster.services import Service
from preflight.cluster.workloads import Workload
from preflight.facts.addresses import Call, calls, listening, pod_of
from preflight.facts.custom_resources import made_services
from preflight.facts.existence import DEPLOYERS, Missing, missing
from preflight.facts.ports import target
from preflight.findings import Place, Severity
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import distance, hint, listed, near


@rule("address-of-no-service", family="network", severity="error", outcome="never ready")
def address_of_no_service(model: Model) -> Iterator[Violation]:
    """An address in a setting whose host is no Service of the render.

    A single name (`kafka`) or one with `.svc` in it can only be a Service; where there is none, the name does
    not resolve; the name of one pod (`kafka-0.kafka`) wants a headless Service that its StatefulSet names.
    Looked at are settings the app declares as addresses; of containers that nothing is known of,
    only names that are a slip away from a Service. Commands that wait (`until nc -z db 5432`) and the files
    of nginx and HAProxy are read as well: an init container waits for ever, and a proxy ends with `host not
    found in upstream`. Another namespace's Service may be made elsewhere: a warning. What a custom resource
    may create is left alone.

        KAFKA_BOOTSTRAP_SERVERS=kafka:9092    # the Service is kafka-service
    """
    yield from together(model, _of_no_service)


def _of_no_service(model: Model, call: Call) -> Violation | None:
    if call.service is not None and (pod := pod_of(model, call.address.host, call.container.obj.namespace)):
        return _of_single_pod(call, call.service, pod)
    if call.service is not None or not call.address.is_of_cluster or _is_own(call):
        return None
    name, namespace = _split(call)
    made = [other for space, other in made_services(model) if space == namespace]
    absent = missing(model, "Service", namespace, name)
    if name not in made and (slip := near(name, made)):
        absent = Missing("error" if distance(name, slip) == 1 else "warning", "", slip)
    if absent is None:
        return None
    same = _longer(model, name, namespace) or _by_port(model, call, name, namespace)
    meant = same or absent.meant
    is_near = (absent.severity == "error" and bool(meant or absent.elsewhere)) or (
        bool(same) and not _may_be_deployed(model, name)
    )
    complete = call.unresolved is not None and absent.severity == "error"
    if not call.known and not meant and not absent.elsewhere and not complete:
        return None
    elsewhere = namespace != call.container.obj.namespace and not is_near
    doubted: Severity = absent.severity if call.known and not elsewhere else "warning"
    return at(
        call.written,
        message=f"{call.variable}: there is no Service {name} in namespace {namespace}"
        + (hint(meant) if meant else absent.hint),
        fix=f"write {meant}" if meant else "name a Service that is applied",
        severity="error" if is_near else doubted,
        outcome=call.unresolved or call.outcome,
    )


def _of_single_pod(call: Call, service: Service, pod: Workload) -> Violation | None:
    """Names of single pods are known by a headless Service, which their StatefulSet names."""
    governing = pod.obj.get("spec", "serviceName")
    if service.headless and governing == service.name:
        return None
    why = (
        f"Service {service.name} is not headless"
        if not service.headless
        else f"StatefulSet {pod.name} has serviceName: {governing or 'none'}"
    )
    return at(
        call.written,
        message=f"{call.variable}: {call.address.host} does not resolve: {why}",
        fix=f"say clusterIP: None in Service {service.name}"
        if not service.headless
        else f"say serviceName: {service.name}",
        outcome=call.unresolved or call.outcome,
    )


def together(model: Model, judge: Callable[[Model, Call], Violation | None]) -> Iterator[Violation]:
    """What is wrong with calls: one finding for all containers that take the same value, the worst outcome
    first."""
    groups: dict[tuple[Place, str], list[tuple[Call, Violation]]] = {}
    for call in calls(model):
        if (violation := judge(model, call)) is not None:
            groups.setdefault((violation.place, violation.message), []).append((call, violation))
    for group in groups.values():
        found = [violation for _, violation in group]
        worst = next((each for each in found if each.outcome == "never ready"), found[0])
        readers = listed(call.container.name for call, _ in group)
        yield msgspec.structs.replace(worst, message=f"{worst.message} (read by {readers})")


def _split(call: Call) -> tuple[str, str]:
    labels = call.address.host.rstrip(".").split(".")
    if "svc" in labels:
        labels = labels[: labels.index("svc")]
    return (labels[-2], labels[-1]) if len(labels) > 1 else (labels[0], call.container.obj.namespace)


def _is_own(call: Call) -> bool:
    """Whether the pod resolves the name by itself: its host aliases, or its own name."""
    pod = call.container.workload
    aliases = [name for each in pod.items("hostAliases") for name in (each or {}).get("hostnames", [])]
    return call.address.host in (*aliases, pod.get("hostname"))


def _longer(model: Model, name: str, namespace: str) -> str:
    names = [each.name for each in model.services if each.namespace == namespace]
    return next(
        (each for each in (f"{name}-service", f"{name}-svc", f"{name}-headless") if each in names), ""
    )


def _may_be_deployed(model: Model, name: str) -> bool:
    """Whether the repository holds a Service of this name elsewhere, or what deploys one from a chart."""
    held = next(model.checkout.holders("Service", None, name), None) is not None
    return held or any(node.text("kind") in DEPLOYERS for _, node in model.checkout.mentions(name))


def _by_port(model: Model, call: Call, name: str, namespace: str) -> str:
    """The Service of a name like this that alone in its namespace has the port that is asked for."""
    having = [
        service.name
        for service in model.services
        if service.namespace == namespace
        and call.address.port in [port.get("port") for port in service.ports]
    ]
    alike = [each for each in having if near(name, [each]) or each.startswith(name) or name.startswith(each)]
    return having[0] if len(having) == 1 and alike else ""


@rule("address-port-not-served", family="network", severity="error", outcome="never ready")
def address_port_not_served(model: Model) -> Iterator[Violation]:
    """An address in a setting whose port the Service does not have.

    A connection to a port that is not the Service's `port` is refused or runs into a timeout. A headless
    Service does not translate ports: its name leads to the pods, so the port is theirs. A warning where the
    address names no port and a program that nothing is known of may take it from elsewhere.

        QDRANT_URL=http://qdrant-service:6334    # the Service has 6333
    """
    yield from together(model, _of_no_port)


def _of_no_port(model: Model, call: Call) -> Violation | None:
    service, port = call.service, call.address.port
    name, namespace = _split(call) if service is None else (service.name, service.namespace)
    numbers = _ports(service) if service is not None else made_services(model).get((namespace, name), ())
    external = service is not None and service.obj.get("spec", "type") == "ExternalName"
    if port is None or external or not numbers or port in numbers:
        return None
    known = listed(str(each) for each in sorted(numbers))
    whose = "its pods listen on" if service is not None and service.headless else "it has"
    return at(
        call.written,
        message=f"{call.variable}: Service {name} has no port {port}: {whose} {known}",
        fix=f"write {next(iter(numbers))}" if len(numbers) == 1 else "write one of its ports",
        # a program that nothing is known of may have the port from elsewhere
        severity="warning" if call.address.guessed and not call.known else None,
        outcome=call.outcome,
    )


def _ports(service: Service) -> set[int]:
    """The ports a client may use; empty where they cannot be told."""
    if not service.headless:
        return {each["port"] for each in service.ports if isinstance(each.get("port"), int)}
    numbers = set()
    for workload in service.workloads:
        declared = [port.get("containerPort") for each in workload.containers for port in each.ports]
        if not declared:
            return set()
        numbers |= {each for each in declared if isinstance(each, int)}
        numbers |= {number for port in service.ports if isinstance(number := target(port), int)}
    return numbers


@rule("address-of-the-pod-itself", family="network", severity="error", outcome="never ready")
def address_of_the_pod_itself(model: Model) -> Iterator[Violation]:
    """An address in a setting that says localhost, where no container of the pod serves the port.

    Inside a pod, localhost is the pod: what runs on the developer's machine or in another pod is not there. A
    sidecar that declares the port, or one that declares none, is taken to serve it. A warning where
    it is the setting's own default that nothing overrides.

        OLLAMA_BASE_URL=http://localhost:11434
    """
    yield from together(model, _of_itself)


def _of_itself(model: Model, call: Call) -> Violation | None:
    if not call.known or not call.address.is_local or _is_served(model, call):
        return None
    port = f":{call.address.port}" if call.address.port is not None else ""
    why = "" if call.offered else ", its default"
    return at(
        call.written,
        message=f"{call.variable}: {call.address.host}{port}{why}, is the pod itself, "
        "where nothing serves that",
        fix="name the Service, or the host outside the cluster",
        severity="error" if call.offered else "warning",
        outcome=call.outcome,
    )


def _is_served(model: Model, call: Call) -> bool:
    pod = call.container.workload
    if pod.get("hostNetwork") is True:
        return True
    others = [each for each in pod.containers if each is not call.container and each.role != "init"]
    ports = {port.get("containerPort") for each in pod.containers for port in each.ports}
    ports |= set(listening(model, call.container))
    return call.address.port in ports or any(not each.ports for each in others)


@rule("cluster-names-not-resolved", family="network", severity="error", outcome="never ready")
def cluster_names_not_resolved(model: Model) -> Iterator[Violation]:
    """A pod that calls Services by name and asks a DNS that does not know them.

    With `hostNetwork: true` the policy ClusterFirst means the node's own resolver; `dnsPolicy: Default` means
    it for any pod. Names of Services do not resolve there.

        hostNetwork: true              # and no dnsPolicy: ClusterFirstWithHostNet
    """
    seen: set[int] = set()
    for call in calls(model):
        pod = call.container.workload
        if call.service is None or id(pod) in seen or _resolves(pod):
            continue
        seen.add(id(pod))
        yield at(
            pod.field("dnsPolicy" if "dnsPolicy" in pod.pod else "hostNetwork"),
            message=f"{call.address.host}, which {call.variable} names, is not known to the node's resolver",
            fix="say dnsPolicy: ClusterFirstWithHostNet"
            if pod.get("hostNetwork") is True
            else "say dnsPolicy: ClusterFirst",
            outcome=call.outcome,
        )


def _resolves(pod: Workload) -> bool:
    policy = pod.get("dnsPolicy", default="ClusterFirst")
    if policy == "Default":
        return bool(pod.get("dnsConfig", "nameservers"))
    return policy != "ClusterFirst" or pod.get("hostNetwork") is not True
