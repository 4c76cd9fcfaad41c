"""Topics: created by somebody, under the name the apps use, with partitions and copies that can be had."""

from __future__ import annotations

import re
from collections.abc import Iterator

from preflight.cluster.objects import Located
from preflight.cluster.workloads import Container
from preflight.documents.paths import Step, dig
from preflight.facts.kafka import Broker, clients_of, siblings
from preflight.facts.settings import ContainerSettings, container_settings, written_at
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import listed, near

CREATES = re.compile(r"(\w+_)?(CREATE|ENSURE|PROVISION)_TOPICS?")
PARTITIONS = re.compile(r"(\w+_)?(NUM_)?PARTITIONS")
REPLICATION = re.compile(r"(\w+_)?REPLICATION_FACTOR")
CREATED = re.compile(r"kafka-topics(?:\.sh)?\b[^\n;&|]*--create\b[^\n;&|]*")
NAMED = re.compile(r"--topic[= ]+[\"']?([\w.-]+)")


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
    made = {name for _, _, name in _created(model)}
    made |= {str(each.get("spec", "topicName", default=each.name)) for each in model.objects_of("KafkaTopic")}
    refusing: dict[object, tuple[ContainerSettings, Located, tuple[Step, ...], set[str]]] = {}
    for settings in container_settings(model).values():
        variable = next((v for v in settings.variables if CREATES.fullmatch(v.name)), None)
        if variable is None or settings.value(variable.name) is None:
            continue
        if str(settings.value(variable.name)).strip().lower() in ("true", "1", "yes", "on"):
            made |= _topics(settings)
            continue
        brokers = _brokers_of(model, settings)
        creating = [b for b in brokers if (b.get("auto.create.topics.enable") or "true").lower() != "false"]
        if brokers and not creating:
            offered = settings.offered(variable)
            part, path = (
                written_at(settings.container, offered[0]) if offered else (settings.container, ("name",))
            )
            place = part.obj.where(*part.path, *path)
            refusing.setdefault(place, (settings, part, path, set()))[3].update(_topics(settings))
    for settings, part, path, topics in refusing.values():
        if topics - made:
            ready = "readinessProbe" in settings.container.probes
            yield at(
                part,
                *path,
                message=f"nobody creates {listed(sorted(topics - made))}: no app, no broker, no Job",
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
    for container, path, name in _created(model):
        meant = near(name, known) if name not in known else None
        if meant:
            yield at(
                container,
                *path,
                message=f"creates topic {name}; did you mean {meant}?",
                fix=f"write {meant}",
            )
    for topic in model.objects_of("KafkaTopic"):
        name = str(topic.get("spec", "topicName", default=topic.name))
        meant = near(name, known) if name not in known else None
        if meant:
            yield at(
                topic,
                "metadata",
                "name",
                message=f"creates topic {name}; did you mean {meant}?",
                fix=f"write {meant}",
            )
    for container in model.containers:
        for each in container.env.values():
            of_topic = re.fullmatch(r"(\w+_)?TOPICS?(_NAME)?", each.name) and each.value
            for name in re.split(r"[,\s]+", each.value or "") if of_topic else ():
                meant = near(name, known) if name not in known else None
                if meant:
                    part, where = written_at(container, each)
                    yield at(
                        part,
                        *where,
                        message=f"{each.name} names topic {name}; did you mean {meant}?",
                        fix=f"write {meant}",
                        place=each.place,
                    )


def _created(model: Model) -> Iterator[tuple[Container, tuple[Step, ...], str]]:
    """Every topic that a container creates by Kafka's own tool, with the word that says so."""
    for container in model.containers:
        whole = " ".join([*container.command, *container.args])
        for field in ("command", "args"):
            for index, word in enumerate(container.items(field)):
                text = str(word)
                commands = CREATED.findall(text)
                if not commands and "kafka-topics" in whole and "--create" in whole:
                    rest = [str(each) for each in container.items(field)[index : index + 2]]
                    commands = [" ".join(rest)] if text.startswith("--topic") else []
                for command in commands:
                    for name in NAMED.findall(command):
                        yield container, (field, index), name


@rule("topic-copies-above-brokers", family="messaging", severity="error", outcome="never ready")
def topic_copies_above_brokers(model: Model) -> Iterator[Violation]:
    """An app that creates its topics with more copies than the render has brokers.

    The broker refuses: `Unable to replicate the partition 3 time(s): The target replication factor of 3
    cannot be reached because only 1 broker(s) are registered`.

        KAFKA_TOPIC_REPLICATION_FACTOR=3     # and one broker
    """
    seen = set()
    for settings in container_settings(model).values():
        brokers = _brokers_of(model, settings)
        for variable in settings.variables if brokers else ():
            value = settings.value(variable.name) if REPLICATION.fullmatch(variable.name) else None
            count = max((siblings(model, broker) for broker in brokers), default=0)
            if value is None or not value.strip().isdigit() or int(value) <= count:
                continue
            offered = settings.offered(variable)
            part, path = (
                written_at(settings.container, offered[0]) if offered else (settings.container, ("name",))
            )
            place = part.obj.where(*part.path, *path)
            if place not in seen:
                seen.add(place)
                yield at(
                    part,
                    *path,
                    message=f"{variable.name} is {value.strip()}, and there "
                    + (f"are {count} brokers" if count != 1 else "is one broker"),
                    fix=f"write {max(count, 1)}, or run more brokers",
                )


@rule("replicas-above-partitions", family="messaging", severity="warning", outcome="applies nothing")
def replicas_above_partitions(model: Model) -> Iterator[Violation]:
    """More pods of a consumer than its topics have partitions.

    Of one consumer group each partition has one reader: the pods beyond their number are ready, and idle. An
    autoscaler's maximum counts as well.

        KAFKA_TOPIC_PARTITIONS=3             # and maxReplicas: 6
    """
    for settings in container_settings(model).values():
        container = settings.container
        reads = [topic for topic in settings.topics if container.name in topic.readers]
        variable = next((v for v in settings.variables if PARTITIONS.fullmatch(v.name)), None)
        value = settings.value(variable.name) if variable is not None and reads else None
        if variable is None or value is None or not value.strip().isdigit():
            continue
        for part, path, number in _scales(model, container):
            if number > int(value):
                yield at(
                    part,
                    *path,
                    message=f"{number} pods of {container.name}, and {variable.name} is {value.strip()}",
                    fix=f"at most {value.strip()}, or more partitions",
                )


def _scales(model: Model, container: Container) -> Iterator[tuple[Located, tuple[Step, ...], int]]:
    workload = container.workload
    if workload.replicas > 1:
        yield workload.obj, ("spec", "replicas"), workload.replicas
    for scaler in model.objects_of("HorizontalPodAutoscaler"):
        target, most = scaler.get("spec", "scaleTargetRef"), scaler.get("spec", "maxReplicas")
        same = (dig(target, "kind"), dig(target, "name")) == (workload.kind, workload.name)
        if same and scaler.namespace == workload.namespace and isinstance(most, int):
            yield scaler, ("spec", "maxReplicas"), most
