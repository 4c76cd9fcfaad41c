"""Kafka brokers of the render: what their environment says of listeners, roles and topics.

The images apache/kafka and confluentinc/cp-kafka take the broker property `a.b` from the variable KAFKA_A_B.
What Kafka does with it was tried with 4.3.1.
"""

from __future__ import annotations

import re

import msgspec

from preflight.cluster.environment import EnvVar
from preflight.cluster.workloads import Container, Workload
from preflight.facts.addresses import Call, calls
from preflight.facts.ports import target
from preflight.model import Model, fact

IMAGES = re.compile(
    r"(^|/)(apache/kafka(-native)?|confluentinc/(cp-kafka|cp-server|confluent-local))([:@]|$)"
)
LISTENER = re.compile(r"\s*([A-Za-z0-9_]+)://([^:/\[\]]*|\[[0-9A-Fa-f:.]+\]):(\d+)\s*")
PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")


class Listener(msgspec.Struct, frozen=True):
    """One entry of `listeners` or `advertised.listeners`; an empty host is every address."""

    name: str
    host: str
    port: int


class Broker(msgspec.Struct, frozen=True):
    """A container that runs Kafka and takes its properties from variables, all of which are known."""

    container: Container

    @property
    def workload(self) -> Workload:
        """The workload it is in."""
        return self.container.workload

    def offered(self, name: str) -> EnvVar | None:
        """The variable that sets a property."""
        return self.container.env.get("KAFKA_" + name.upper().replace(".", "_"))

    def get(self, name: str) -> str | None:
        """A property's value; None where it is not set or cannot be seen."""
        found = self.offered(name)
        return None if found is None or found.value is None else found.value.strip()

    def number(self, name: str, default: int) -> int:
        """A property that is a number, or Kafka's default."""
        value = self.get(name)
        return int(value) if value and re.fullmatch(r"-?\d{1,15}", value) else default

    def listed(self, name: str) -> list[str]:
        """A property that is a list."""
        return [part.strip() for part in (self.get(name) or "").split(",") if part.strip()]

    def listeners(self, name: str = "listeners") -> list[Listener]:
        """The entries of `listeners` or `advertised.listeners`; none where one of them cannot be read."""
        found = []
        for entry in self.listed(name):
            match = LISTENER.fullmatch(entry)
            if match is None:
                return []
            found.append(Listener(match[1], match[2].strip("[]"), int(match[3])))
        return found

    def protocol(self, listener: str) -> str | None:
        """The security protocol of a listener; None where none is defined."""
        pairs = dict(entry.partition(":")[::2] for entry in self.listed("listener.security.protocol.map"))
        found = pairs.get(listener, listener if not pairs else None)
        return found if found in PROTOCOLS else None


@fact
def brokers(model: Model) -> list[Broker]:
    """The Kafka containers whose whole environment is known and whose command is the image's own."""
    return [
        Broker(container)
        for container in model.containers
        if container.role == "main"
        and model.app(container) is None
        and container.env_is_known
        and not container.command
        and IMAGES.search(container.image)
        and "KAFKA_ZOOKEEPER_CONNECT" not in container.env
    ]


class Client(msgspec.Struct, frozen=True):
    """A call that leads to a broker of the render."""

    call: Call
    broker: Broker
    port: int
    """The port of the broker's pods it arrives at."""

    @property
    def listener(self) -> Listener | None:
        """The listener it arrives at."""
        return next((listener for listener in self.broker.listeners() if listener.port == self.port), None)


@fact
def clients(model: Model) -> list[Client]:
    """Every call by a Service to a port of a broker's pods."""
    found = []
    by_workload: dict[int, list[Broker]] = {}
    for broker in brokers(model):
        by_workload.setdefault(id(broker.workload), []).append(broker)
    for call in calls(model):
        if call.service is None:
            continue
        for broker in (b for workload in call.service.workloads for b in by_workload.get(id(workload), ())):
            if call.container is broker.container:
                continue
            for port in call.service.ports:
                number = broker.container.port(target(port))
                if number is not None and call.address.port == port.get("port"):
                    found.append(Client(call, broker, number))
    return found


def clients_of(model: Model, container: Container) -> list[Client]:
    """The calls of one container that lead to brokers of the render."""
    return _clients_by_container(model).get(container, [])


@fact
def _clients_by_container(model: Model) -> dict[Container, list[Client]]:
    found: dict[Container, list[Client]] = {}
    for client in clients(model):
        found.setdefault(client.call.container, []).append(client)
    return found


def siblings(model: Model, broker: Broker) -> int:
    """How many brokers there are in the broker's namespace, every one in the render counted."""
    of_kind = [each for each in brokers(model) if each.workload.namespace == broker.workload.namespace]
    return sum(max(each.workload.replicas, 0) for each in of_kind)
