"""Where brokers listen and what they tell clients, against how clients come in."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.facts.addresses import Address, service_of
from preflight.facts.existence import missing
from preflight.facts.settings import container_settings, written_at
from preflight.findings import Severity
from preflight.model import Model
from preflight.packs.kafka.properties import Broker, Client, Listener, clients, clients_of
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import hint, listed


@rule("advertised-address-wrong", family="messaging", severity="error", outcome="never ready")
def advertised_address_wrong(model: Model) -> Iterator[Violation]:
    """A broker that tells its clients an address they cannot use.

    A Kafka client connects twice: to the bootstrap address, and then to what the broker advertises for that
    listener. Localhost is the client's own pod, a name without a Service does not resolve, and a single label
    is looked up in the client's namespace.

        KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://localhost:9092    # clients come by kafka-service:9092
    """
    seen = set()
    for client in clients(model):
        broker, listener = client.broker, client.listener
        told = _told(broker, listener)
        offered = broker.offered("advertised.listeners") or broker.offered("listeners")
        if told is None or offered is None or (told, offered.place) in seen:
            continue
        fault = _fault(model, client, told)
        if fault is not None:
            seen.add((told, offered.place))
            message, fix, severity = fault
            yield at(
                written_at(broker.container, offered),
                message=f"{offered.name}: {told.name} tells clients {told.host}:{told.port}, {message}",
                fix=fix,
                severity=severity,
                outcome=client.call.outcome,
            )


def _told(broker: Broker, listener: Listener | None) -> Listener | None:
    """What clients of a listener are told; a host without a name is the pod's own."""
    if listener is None:
        return None
    if broker.offered("advertised.listeners") is None:
        return listener if listener.host in ("localhost", "127.0.0.1") else None
    told = broker.listeners("advertised.listeners")
    return next((each for each in told if each.name == listener.name), None)


def _fault(model: Model, client: Client, told: Listener) -> tuple[str, str, Severity] | None:
    call, broker = client.call, client.broker
    namespace = call.container.obj.namespace
    address = Address(told.host.lower(), told.port)
    name = call.service.name if call.service is not None else ""
    use = f"advertise {name}:{call.address.port}, as the clients call it"
    if address.is_local:
        return "which is themselves", use, "error"
    if not address.is_of_cluster:
        return None
    service = service_of(model, address.host, namespace)
    if service is None:
        absent = missing(model, "Service", namespace, address.host.partition(".")[0])
        if absent is None:
            return None
        if namespace != broker.workload.namespace and service_of(
            model, address.host, broker.workload.namespace
        ):
            return (
                f"a name that namespace {namespace} does not know",
                f"write {address.host}.{broker.workload.namespace}.svc",
                "error",
            )
        return f"and there is no such Service{hint(absent.meant)}", use, absent.severity
    ports = [port.get("port") for port in service.ports]
    if not service.headless and told.port not in ports:
        return f"and the Service has no such port: it has {listed(str(each) for each in ports)}", use, "error"
    return None


@rule("security-protocol-differs", family="messaging", severity="error", outcome="never ready")
def security_protocol_differs(model: Model) -> Iterator[Violation]:
    """A client that speaks another security protocol than the listener it comes to.

    The broker drops the connection or the client waits for a greeting that never comes; neither says why in
    words that help.

        KAFKA_SECURITY_PROTOCOL=SSL          # the listener on that port is PLAINTEXT
    """
    seen = set()
    for settings in container_settings(model).values():
        variable = next((v for v in settings.variables if v.name.endswith("SECURITY_PROTOCOL")), None)
        if variable is None or variable.name.removesuffix("SECURITY_PROTOCOL") not in ("KAFKA_", ""):
            continue
        spoken, offered = settings.value(variable.name), settings.offered(variable)
        for client in clients_of(model, settings.container):
            if client.listener is None:
                continue
            wanted = client.broker.protocol(client.listener.name)
            if spoken is None or wanted is None or spoken.upper() == wanted:
                continue
            written = settings.written(variable) if offered else client.call.written
            if written.where() not in seen:
                seen.add(written.where())
                yield at(
                    written,
                    message=f"{variable.name} is {spoken}, and {client.call.address.host}:"
                    f"{client.call.address.port} leads to listener {client.listener.name}, which is {wanted}",
                    fix=f"write {wanted}, or call a listener that speaks {spoken}",
                    outcome=client.call.outcome,
                )
