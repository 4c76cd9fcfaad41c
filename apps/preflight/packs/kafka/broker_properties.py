"""What Kafka refuses at its start, and what a broker alone cannot give."""

from __future__ import annotations

import re
from collections.abc import Iterator

from preflight.documents.paths import dig
from preflight.facts.settings import asked, container_settings, written_at
from preflight.model import Model
from preflight.packs.kafka.properties import Broker, brokers, clients_of, siblings
from preflight.packs.kafka.topics import copies_above_brokers
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import listed

NO_PROPERTIES = re.compile(
    r"KAFKA_(\w*HEAP_OPTS|\w*OPTS|JMX_\w+|LOG4J_\w+|GC_LOG_OPTS|JVM_PERFORMANCE_OPTS|HOME|VERSION|DEBUG\w*)"
)
"""Variables of the image that become no broker property."""
SERVICE_LINK = re.compile(r"KAFKA_(SERVICE_\w+|PORT(_\d+_\w+)?)")


@rule("broker-setting-missing", family="messaging", severity="error", outcome="CrashLoopBackOff")
def broker_setting_missing(model: Model) -> Iterator[Violation]:
    """A broker that is given some of its properties and lacks one that Kafka cannot start without.

    The image apache/kafka starts on its defaults only while no KAFKA_* variable sets a property; with the
    first one, all defaults are gone, and Kafka ends with `Missing required configuration`.

        KAFKA_AUTO_CREATE_TOPICS_ENABLE=false    # alone: no process.roles, node.id, listeners, ...
    """
    for broker in brokers(model):
        names = broker.container.env
        given = [n for n in names if n.startswith("KAFKA_") and not NO_PROPERTIES.fullmatch(n)]
        mounted = [dig(volume_mount, "mountPath") for volume_mount in broker.container.items("volumeMounts")]
        if "apache/kafka" not in broker.container.image or not given or "/mnt/shared/config" in mounted:
            continue
        wanted = ["process.roles", "node.id", "controller.listener.names"]
        if "controller" in broker.listed("process.roles"):
            wanted.append("listeners")
        absent = [each for each in wanted if broker.offered(each) is None]
        quorum = ("controller.quorum.voters", "controller.quorum.bootstrap.servers")
        if not any(broker.offered(each) for each in quorum):
            absent.append(quorum[0])
        if absent:
            variables = ["KAFKA_" + each.upper().replace(".", "_") for each in absent]
            yield at(
                broker.container,
                *asked(broker.container, variables[0]),
                message=f"{broker.workload.name} sets {listed(given[:3])} and not {listed(variables)}: "
                "given any property, the image drops its defaults",
                fix="set it beside the others",
            )


@rule("broker-settings-refused", family="messaging", severity="error", outcome="CrashLoopBackOff")
def broker_settings_refused(model: Model) -> Iterator[Violation]:
    """Broker properties that Kafka refuses together, at its start.

    Listeners without a security protocol, an advertised or inter-broker listener that is not listened on, a
    controller listener that is missing, two listeners on one port, an advertised 0.0.0.0, a node that is no
    voter, session timeouts out of their bounds: Kafka ends before it serves anybody.

        KAFKA_LISTENERS=PLAINTEXT://:9092
        KAFKA_ADVERTISED_LISTENERS=INTERNAL://kafka:9092     # no listener of that name
    """
    for broker in brokers(model):
        for name, message, fix in (
            *_listener_faults(broker),
            *_quorum_faults(broker),
            *_group_faults(broker),
        ):
            offered = broker.offered(name)
            if offered is not None:
                part, path = written_at(broker.container, offered)
                yield at(part, *path, message=f"{offered.name}: {message}", fix=fix, place=offered.place)


Fault = tuple[str, str, str]


def _listener_faults(broker: Broker) -> Iterator[Fault]:
    listeners, advertised = broker.listeners(), broker.listeners("advertised.listeners")
    names = [each.name for each in listeners]
    if not listeners:
        return
    mapped = "listener.security.protocol.map"
    for name in names:
        if broker.protocol(name) is None and (broker.get(mapped) or broker.offered(mapped) is None):
            where = mapped if broker.offered(mapped) is not None else "listeners"
            yield (
                where,
                f"listener {name} has no security protocol",
                f"add {name}:PLAINTEXT, or what it speaks",
            )
    for listener in advertised:
        if listener.name not in names:
            fix = f"write one of {listed(names)}"
            yield "advertised.listeners", f"{listener.name} is none of the listeners", fix
        elif listener.host in ("", "0.0.0.0", "::"):  # noqa: S104 - compared with, not bound to
            yield (
                "advertised.listeners",
                f"{listener.name} advertises no address",
                "name the Service clients use",
            )
    inter = broker.get("inter.broker.listener.name")
    if inter and inter not in names:
        yield (
            "inter.broker.listener.name",
            f"{inter} is none of the listeners",
            f"write one of {listed(names)}",
        )
    controllers = broker.listed("controller.listener.names")
    if "controller" in broker.listed("process.roles") and not set(controllers) & set(names):
        message = f"no listener is called {listed(controllers)}, as controller.listener.names says"
        yield "listeners", message, "add it"
    ports = [each.port for each in listeners]
    if len(set(ports)) < len(ports):
        yield "listeners", "two listeners have the same port", "give each its own"


def _quorum_faults(broker: Broker) -> Iterator[Fault]:
    node, voters = broker.get("node.id"), broker.listed("controller.quorum.voters")
    ids = [each.partition("@")[0] for each in voters]
    if "controller" in broker.listed("process.roles") and node and ids and node not in ids:
        yield "node.id", f"node {node} is none of the voters {listed(ids)}", "write the id of a voter"


def _group_faults(broker: Broker) -> Iterator[Fault]:
    group = "group.consumer."
    session = broker.number(group + "session.timeout.ms", 45_000)
    least = broker.number(group + "min.session.timeout.ms", 45_000)
    most = broker.number(group + "max.session.timeout.ms", 60_000)
    beat = broker.number(group + "heartbeat.interval.ms", 5_000)
    shortest = broker.number(group + "min.heartbeat.interval.ms", 5_000)
    longest = broker.number(group + "max.heartbeat.interval.ms", 15_000)
    for name, value, low, high in (
        ("session.timeout.ms", session, least, most),
        ("heartbeat.interval.ms", beat, shortest, longest),
    ):
        if not low <= value <= high:
            bound = f"min.{name}" if value < low else f"max.{name}"
            limit = low if value < low else high
            written = group + name if broker.offered(group + name) else group + bound
            yield (
                written,
                f"{name} {value} is beyond {bound}, which is {limit}",
                f"set {group}{bound} as well",
            )
    if beat >= session:
        name = group + (
            "heartbeat.interval.ms"
            if broker.offered(group + "heartbeat.interval.ms")
            else "session.timeout.ms"
        )
        yield (
            name,
            f"the heartbeat of {beat} ms is not shorter than the session of {session} ms",
            "make it shorter",
        )


@rule("replication-above-brokers", family="messaging", severity="error", outcome="ready but silent")
def replication_above_brokers(model: Model) -> Iterator[Violation]:
    """A replication factor, of the broker's own topics or an app's, above the number of brokers.

    Kafka's defaults are for three brokers. With fewer, `__consumer_offsets` is never created, no consumer
    group finds its coordinator, and everybody waits. For the topics of transactions and share groups it is a
    warning: only their users wait. Before Kafka 3.7 a `min.insync.replicas` that cannot be met refuses every
    write with acks=all; since then it asks for no more than there are replicas, without effect. An app that
    creates its topics with more copies than there are brokers is refused.

        KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR=3     # and replicas: 1
    """
    for broker in brokers(model):
        count = siblings(model, broker)
        if count < 1 or "broker" not in broker.listed("process.roles"):
            continue
        for name, default, grave in (
            ("offsets.topic.replication.factor", 3, True),
            ("min.insync.replicas", 1, True),
            ("transaction.state.log.replication.factor", 3, False),
            ("transaction.state.log.min.isr", 2, False),
            ("share.coordinator.state.topic.replication.factor", 0, False),
            ("share.coordinator.state.topic.min.isr", 0, False),
        ):
            value, offered = broker.number(name, default), broker.offered(name)
            capped = name.endswith(("min.isr", "insync.replicas")) and not _before_3_7(broker)
            if value <= count or (capped and offered is None):
                continue
            variable = "KAFKA_" + name.upper().replace(".", "_")
            if offered is not None:
                part, path = written_at(broker.container, offered)
            else:
                part, path = broker.container, asked(broker.container, variable)
            yield at(
                part,
                *path,
                message=f"{variable} is {value}{'' if offered else ' by default'}, and there "
                + (f"are {count} brokers" if count > 1 else "is one broker"),
                fix=f"set {variable}={count}",
                severity="error" if grave and not capped else "warning",
                outcome="applies nothing" if capped else None,
            )
    yield from copies_above_brokers(model)


def _before_3_7(broker: Broker) -> bool:
    """Whether the image says that the broker takes min.insync.replicas literally (KAFKA-15583)."""
    image = broker.container.image
    if own := re.search(r"apache/kafka(?:-native)?:(\d+)\.(\d+)", image):
        return (int(own[1]), int(own[2])) < (3, 7)
    # Confluent Platform 7.7 carries Kafka 3.7
    platform = re.search(r"confluentinc/[\w-]+:(\d+)\.(\d+)", image)
    return platform is not None and (int(platform[1]), int(platform[2])) < (7, 7)


@rule("group-protocol-unsupported", family="messaging", severity="error", outcome="never ready")
def group_protocol_unsupported(model: Model) -> Iterator[Violation]:
    """A client that joins its group by the new protocol, which the broker of the render does not speak.

    `group.protocol=consumer` (KIP-848) is for brokers from 4.0 on, and for those that are not told to speak
    only `classic`. Others answer UNSUPPORTED_VERSION, and nothing is consumed.

        KAFKA_GROUP_PROTOCOL=consumer  # and image: apache/kafka:3.9.1
    """
    seen = set()
    for settings in container_settings(model).values():
        variable = next((each for each in settings.variables if each.name.endswith("GROUP_PROTOCOL")), None)
        if variable is None or (settings.value(variable.name) or "").strip().lower() != "consumer":
            continue
        for client in clients_of(model, settings.container):
            why = _only_classic(client.broker)
            offered = settings.offered(variable)
            part, path = (
                written_at(settings.container, offered[0]) if offered else (settings.container, ("name",))
            )
            place = part.obj.where(*part.path, *path)
            if why is None or place in seen:
                continue
            seen.add(place)
            yield at(
                part,
                *path,
                message=f"{variable.name} is consumer, and {client.broker.workload.name} {why}",
                fix="write classic, or run Kafka 4",
                outcome=client.call.outcome,
            )


def _only_classic(broker: Broker) -> str | None:
    protocols = broker.listed("group.coordinator.rebalance.protocols")
    if protocols and "consumer" not in protocols:
        return f"speaks only {listed(protocols)}"
    version = re.search(r"apache/kafka(?:-native)?:(\d+)\.", broker.container.image)
    if version is not None and int(version[1]) < 4 and not protocols:
        return f"is Kafka {version[1]}"
    return None
