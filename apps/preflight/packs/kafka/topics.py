"""Topics: created by somebody, under the name the apps use, with partitions and copies that can be had."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from preflight.cluster.objects import Field
from preflight.cluster.workloads import Container
from preflight.documents.paths import dig
from preflight.facts.custom_resources import STRIMZI_LABEL, kafka_brokers
from preflight.facts.settings import ContainerSettings, asked, container_settings, written_at
from preflight.findings import Place
from preflight.model import Model, fact
from preflight.packs.kafka.properties import Broker, brokers, clients_of, siblings
from preflight.rules.lifecycle.scaling import scalers
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import distance, listed, near

CREATES = re.compile(r"(\w+_)?(CREATE|ENSURE|PROVISION)_TOPICS?")
PARTITIONS = re.compile(r"(\w+_)?(NUM_)?PARTITIONS")
REPLICATION = re.compile(r"(\w+_)?REPLICATION_FACTOR")
CREATED = re.compile(r"kafka-topics(?:\.sh)?\b[^\n;&|]*--create\b[^\n;&|]*")
OPTION = r"--{}[= ]+[\"']?([\w.-]+)"
NAMES_TOPICS = re.compile(r"(\w+_)?TOPICS?(_\w+)?")
"""Variables that hold topics by their name, whatever reads them."""
NAMES_NONE = re.compile(
    r"(\w+_)?(GROUP|GROUP_ID|CLIENT_ID|CONSUMER|NAME|PREFIX|SUFFIX|PATTERN|REGEX)(_\w+)?|\w+_COUNT"
)
"""Variables whose value may look like a topic and is none."""


def _topics(settings: ContainerSettings) -> set[str]:
    """The topics its app reads or writes, as far as it is said whose they are."""
    name = settings.container.name
    mine = [topic for topic in settings.topics if name in (*topic.readers, *topic.writers)]
    return {topic.name for topic in mine or settings.topics}


def _brokers_of(model: Model, settings: ContainerSettings) -> list[Broker]:
    return [each.broker for each in clients_of(model, settings.container)]


@rule("topic-not-created", family="messaging", severity="error", outcome="never ready")
def topic_not_created(model: Model) -> Iterator[Violation]:
    """A topic that an app uses and that nobody creates.

    The broker of the render creates none by itself (`auto.create.topics.enable=false`), the apps that use the
    topic are told not to, and neither a `kafka-topics --create` in the render nor a KafkaTopic makes it:
    clients get UNKNOWN_TOPIC_OR_PARTITION.

        KAFKA_CREATE_TOPICS=false            # and KAFKA_AUTO_CREATE_TOPICS_ENABLE=false on the broker
    """
    made = {topic.name for topic in created_topics(model)}
    refusing: dict[Place, tuple[ContainerSettings, Field, set[str]]] = {}
    for settings in container_settings(model).values():
        variable = next((v for v in settings.variables if CREATES.fullmatch(v.name)), None)
        if variable is None or settings.value(variable.name) is None:
            continue
        if str(settings.value(variable.name)).strip().lower() in ("true", "1", "yes", "on"):
            made |= _topics(settings)
            continue
        called = _brokers_of(model, settings)
        creating = [b for b in called if (b.get("auto.create.topics.enable") or "true").lower() != "false"]
        if called and not creating:
            written = settings.written(variable)
            refusing.setdefault(written.where(), (settings, written, set()))[2].update(_topics(settings))
    for settings, written, topics in refusing.values():
        if topics - made:
            ready = "readinessProbe" in settings.container.probes
            yield at(
                written,
                message=f"nobody creates the topics {listed(sorted(topics - made))}: no app, no broker, "
                "no Job",
                fix="let the apps create them, or add a Job that does",
                outcome="never ready" if ready else "ready but silent",
            )


@rule("topic-misspelt", family="messaging", severity="error", outcome="ready but silent")
def topic_misspelt(model: Model) -> Iterator[Violation]:
    """A topic that is created, or set by a variable, under a name one slip away from the one the apps use.

    Both topics exist then, and no message passes from one to the other.

        kafka-topics.sh --create --topic anchor-write    # the apps use anchors-write
    """
    known = {topic.name for settings in container_settings(model).values() for topic in settings.topics}
    for topic in created_topics(model):
        meant = near(topic.name, known) if topic.name not in known else None
        if meant:
            yield at(
                topic.written,
                message=f"topic {topic.name} is created, and no app uses it; did you mean {meant}?",
                fix=f"write {meant}",
            )
    declared = container_settings(model)
    for container in model.containers:
        settings = declared.get(container)
        for offered in container.env.values():
            of_topic = NAMES_TOPICS.fullmatch(offered.name) and not NAMES_NONE.fullmatch(offered.name)
            setting = settings.variable(offered.name) if settings is not None else None
            read = setting is not None and setting.kind == "str" and not NAMES_NONE.fullmatch(offered.name)
            for name in re.split(r"[,\s]+", offered.value or "") if of_topic or read else ():
                meant = near(name, known) if name not in known else None
                if meant and (of_topic or distance(name, meant) == 1):
                    yield at(
                        written_at(container, offered),
                        message=f"{offered.name} names topic {name}; did you mean {meant}?",
                        fix=f"write {meant}",
                        severity="error" if of_topic else "warning",
                    )


class Created(msgspec.Struct, frozen=True):
    """A topic that Kafka's own tool or a KafkaTopic creates; None for what is not said."""

    name: str
    written: Field
    partitions: int | None
    copies: int | None
    copies_written: Field


@fact
def created_topics(model: Model) -> list[Created]:
    """Every topic that the render creates."""
    found: list[Created] = []
    for container in model.containers:
        for field in ("command", "args"):
            words = [str(word) for word in container.items(field)]
            commands = [(index, text) for index, word in enumerate(words) for text in CREATED.findall(word)]
            if not commands and any("kafka-topics" in word for word in (*container.command, *container.args)):
                # the options as items of their own
                whole = " ".join(words)
                index = next((i for i, word in enumerate(words) if word.startswith("--topic")), 0)
                commands = [(index, whole)] if "--create" in [*container.command, *container.args] else []
            for index, text in commands:
                for name in re.findall(OPTION.format("topic"), text):
                    counts = [
                        _number(match[1]) if (match := re.search(OPTION.format(option), text)) else None
                        for option in ("partitions", "replication-factor")
                    ]
                    written = container.field(field, index)
                    found.append(Created(name, written, counts[0], counts[1], written))
    for topic in model.objects_of("KafkaTopic"):
        name = str(topic.get("spec", "topicName", default=topic.name))
        partitions, copies = _number(topic.get("spec", "partitions")), _number(topic.get("spec", "replicas"))
        own = topic.field("spec", "topicName")
        written = own if own.doc else topic.field("metadata", "name")
        found.append(Created(name, written, partitions, copies, topic.field("spec", "replicas")))
    return found


def _number(value: object) -> int | None:
    return int(str(value)) if re.fullmatch(r"\d{1,9}", str(value)) else None


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
            container = broker.container
            yield at(
                written_at(container, offered) if offered is not None else asked(container, variable),
                message=f"{variable} is {value}{'' if offered else ' by default'}, and there {_are(count)}",
                fix=f"set {variable}={count}",
                severity="error" if grave and not capped else "warning",
                outcome="applies nothing" if capped else None,
            )
    yield from _copies_above_brokers(model)


def _before_3_7(broker: Broker) -> bool:
    """Whether the image says that the broker takes min.insync.replicas literally (KAFKA-15583)."""
    image = broker.container.image
    if own := re.search(r"apache/kafka(?:-native)?:(\d+)\.(\d+)", image):
        return (int(own[1]), int(own[2])) < (3, 7)
    # Confluent Platform 7.7 carries Kafka 3.7
    platform = re.search(r"confluentinc/[\w-]+:(\d+)\.(\d+)", image)
    return platform is not None and (int(platform[1]), int(platform[2])) < (7, 7)


def _copies_above_brokers(model: Model) -> Iterator[Violation]:
    """Topics that apps create with more copies than there are brokers."""
    seen = set()
    for settings in container_settings(model).values():
        called = _brokers_of(model, settings)
        count = max((siblings(model, broker) for broker in called), default=0)
        for variable in settings.variables if called else ():
            value = _number(settings.value(variable.name)) if REPLICATION.fullmatch(variable.name) else None
            written = settings.written(variable)
            if value is not None and value > count and written.where() not in seen:
                seen.add(written.where())
                yield at(
                    written,
                    message=f"{variable.name} is {value}, and there {_are(count)}",
                    fix=f"write {max(count, 1)}, or run more brokers",
                    outcome="never ready",
                )
    for topic in created_topics(model):
        count = _brokers_for(model, topic)
        if count and topic.copies is not None and topic.copies > count:
            yield at(
                topic.copies_written,
                message=f"topic {topic.name} is to have {topic.copies} copies, and there {_are(count)}",
                fix=f"write {count}, or run more brokers",
                outcome="never ready",
            )


def _are(count: int) -> str:
    return "is one broker" if count == 1 else f"are {count} brokers"


def _brokers_for(model: Model, topic: Created) -> int:
    """How many brokers there are for a topic; 0 where that is not in the render."""
    obj = topic.written.obj
    if obj.kind == "KafkaTopic":
        cluster = model.find("Kafka", obj.namespace, obj.labels.get(STRIMZI_LABEL, ""))
        return kafka_brokers(model, cluster) if cluster is not None else 0
    own = [broker for broker in brokers(model) if broker.workload.namespace == obj.namespace]
    return siblings(model, own[0]) if own else 0


@rule("replicas-above-partitions", family="messaging", severity="warning", outcome="applies nothing")
def replicas_above_partitions(model: Model) -> Iterator[Violation]:
    """More pods of a consumer than its topics have partitions.

    Of one consumer group each partition has one reader: the pods beyond their number are ready, and idle. An
    autoscaler's maximum counts as well. Partitions are what the app's own setting says, or what creates the
    topics: `kafka-topics.sh --partitions`, a KafkaTopic.

        KAFKA_TOPIC_PARTITIONS=3             # and maxReplicas: 6
    """
    made = {topic.name: topic.partitions for topic in created_topics(model)}
    for settings in container_settings(model).values():
        container = settings.container
        reads = [topic.name for topic in settings.topics if container.name in topic.readers]
        variable = next((v for v in settings.variables if PARTITIONS.fullmatch(v.name)), None)
        most = (
            _number((settings.value(variable.name) or "").strip()) if variable is not None and reads else None
        )
        who = f"{variable.name} is {most}" if variable is not None else ""
        if most is None and reads and all(made.get(name) is not None for name in reads):
            most = sum(made[name] or 0 for name in reads)
            who = f"{listed(reads)} {'has' if len(reads) == 1 else 'have'} {most} partitions"
        for field, number in _scales(model, container) if most is not None else ():
            if most is not None and number > most:
                yield at(
                    field,
                    message=f"{field.path[-1]} {number} of {container.workload.name}, and {who}: "
                    "the pods beyond are idle",
                    fix=f"at most {most}, or more partitions",
                )


def _scales(model: Model, container: Container) -> Iterator[tuple[Field, int]]:
    workload = container.workload
    if workload.replicas > 1:
        yield workload.obj.field("spec", "replicas"), workload.replicas
    for scaler, scaled in scalers(model):
        field = "maxReplicas" if scaler.kind == "HorizontalPodAutoscaler" else "maxReplicaCount"
        most = scaler.get("spec", field)
        # KEDA itself keeps to the number of partitions where it scales by a topic's lag
        by_lag = any(dig(trigger, "type") == "kafka" for trigger in scaler.items("spec", "triggers"))
        if scaled is workload and isinstance(most, int) and not by_lag:
            yield scaler.field("spec", field), most


@rule("scaler-of-another-topic", family="messaging", severity="error", outcome="applies nothing")
def scaler_of_another_topic(model: Model) -> Iterator[Violation]:
    """A KEDA trigger on the lag of a topic that the scaled app does not read, or of another group.

    There is no lag then, and the number of pods stays at its minimum whatever waits. An app that puts a
    prefix before its topics (`KAFKA_TOPIC_PREFIX`) puts it before the name of its group as well.

        KAFKA_TOPIC_PREFIX=shop.             # and topic: anchors-write, consumerGroup: indexer
    """
    for scaler, workload in scalers(model):
        settings = [each for c, each in container_settings(model).items() if c.workload is workload]
        readers = [(each, each.container.name) for each in settings]
        reads = sorted({t.name for each, name in readers for t in each.topics if name in t.readers})
        for index, trigger in enumerate(scaler.items("spec", "triggers") if reads else ()):
            if dig(trigger, "type") != "kafka":
                continue
            path = ("spec", "triggers", index, "metadata")
            topic, group = dig(trigger, "metadata", "topic"), dig(trigger, "metadata", "consumerGroup")
            prefixes = [each.topic_prefix for each, name in readers if group == name and each.topic_prefix]
            if isinstance(topic, str) and topic not in reads:
                meant = next((name for name in reads if name.endswith(topic)), near(topic, set(reads)))
                yield at(
                    scaler.field(*path, "topic"),
                    message=f"{scaler.ref} scales by the lag of topic {topic}, and {workload.name} reads "
                    f"{listed(reads)}",
                    fix=f"write {meant}" if meant else "write one of these",
                )
            if prefixes:
                yield at(
                    scaler.field(*path, "consumerGroup"),
                    message=f"{scaler.ref} scales by the lag of group {group}, and {workload.name} reads as "
                    f"{prefixes[0]}{group}",
                    fix=f"write {prefixes[0]}{group}",
                )
