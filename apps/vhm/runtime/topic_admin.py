"""Topics exist before anybody subscribes: created when missing, or only checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError, KafkaException, Producer

from vhm.contract.topics import DEAD_LETTER_SUFFIX, carries_texts
from vhm.runtime.kafka_config import MAX_MESSAGE_BYTES, client_config, describe, is_embedded
from vhm.runtime.settings import KafkaSettings

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

METADATA_SECONDS = 5.0
"""Longest wait for the list of topics."""

ADMIN_SECONDS = 10.0
"""Longest wait for a topic to be created or changed."""

SIZE_LIMIT = {"max.message.bytes": str(MAX_MESSAGE_BYTES)}
"""Of a dead-letter topic: a dead letter is its record and up to 12 kB of headers, so the broker's default,
which the record itself was held to, may be too small."""


class BrokerUnreachableError(Exception):
    """No broker answered; one line."""


class TopicsMissingError(Exception):
    """Topics do not exist and were not created; one line that names them and says why."""


def ensure(producer: Producer, names: Sequence[str], settings: KafkaSettings) -> str:
    """Create those of the topics `names` that do not exist; returns the cluster's id.

    Blocks for up to 16 s. Safe to call from several workers at once. Raises BrokerUnreachableError or
    TopicsMissingError; both may pass.
    """
    try:
        metadata = producer.list_topics(timeout=METADATA_SECONDS)
    except KafkaException as error:
        raise BrokerUnreachableError(describe(error.args[0])) from None
    missing = [n for n in names if n not in metadata.topics or metadata.topics[n].error is not None]
    cluster = str(metadata.cluster_id)
    if not missing:
        return cluster
    if not settings.kafka_create_topics:
        raise TopicsMissingError(
            f"missing: {', '.join(missing)}; create them, or set KAFKA_CREATE_TOPICS=true"
        )
    if is_embedded(cluster):
        for name in missing:  # the embedded broker creates a topic when asked for it by name
            producer.list_topics(name, timeout=METADATA_SECONDS)
    else:
        _create(missing, settings)
    return cluster


def keep_for(names: Sequence[str], settings: KafkaSettings, cluster: str) -> list[str]:
    """Set the retention of the topics that carry texts. Returns a line for each topic whose retention differs
    and is not ours to change. Blocks for up to 11 s."""
    if is_embedded(cluster):  # it has no retention to set
        return []
    from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

    wanted = str(settings.kafka_topic_retention_hours * 3_600_000)
    admin = AdminClient(client_config(settings, "topics"))
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names if carries_texts(name)]
    other: list[str] = []
    lines: list[str] = []
    for resource, future in admin.describe_configs(resources, request_timeout=ADMIN_SECONDS).items():
        try:
            found = future.result(ADMIN_SECONDS + 1)["retention.ms"].value
        except KafkaException as error:
            lines.append(f"{resource.name}: its retention.ms cannot be read: {describe(error.args[0])}")
            continue
        if found == wanted:
            continue
        if settings.kafka_create_topics:
            other.append(resource.name)
        else:
            lines.append(f"{resource.name}: retention.ms={found}, not {wanted} (KAFKA_TOPIC_RETENTION_HOURS)")
    return lines + [line for name in other for line in _alter(admin, name, {"retention.ms": wanted})]


def raise_size_limit(topic: str, settings: KafkaSettings) -> None:
    """Raise a topic's max.message.bytes to SIZE_LIMIT, where the broker lets us. Blocks for up to 11 s."""
    # 40 ms to import, and seldom needed
    from confluent_kafka.admin import AdminClient

    # where the broker will not, its refusal of the record says what to do
    _alter(AdminClient(client_config(settings, "topics")), topic, SIZE_LIMIT)


def _alter(admin: AdminClient, topic: str, config: Mapping[str, str]) -> list[str]:
    """Change a topic's configuration; returns a line where the broker refuses."""
    from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        for name, value in config.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    changes: dict[ConfigResource, Future[None]] = admin.incremental_alter_configs(
        [resource], request_timeout=ADMIN_SECONDS
    )
    for change in changes.values():
        try:
            change.result(ADMIN_SECONDS + 1)
        except KafkaException as error:
            return [f"{topic}: {', '.join(config)} cannot be changed: {describe(error.args[0])}"]
    return []


def _create(names: Sequence[str], settings: KafkaSettings) -> None:
    # 40 ms to import, and seldom needed
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.cimpl import NewTopic

    admin = AdminClient(client_config(settings, "topics"))
    topics = [
        NewTopic(
            name,
            settings.kafka_topic_partitions,
            settings.kafka_topic_replication_factor,
            config=_config(name, settings),
        )
        for name in names
    ]
    futures = admin.create_topics(topics, operation_timeout=ADMIN_SECONDS, request_timeout=ADMIN_SECONDS)
    problems: list[str] = []
    for name, future in futures.items():
        try:
            future.result(ADMIN_SECONDS + 1)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                problems.append(f"{name}: {describe(error.args[0])}")
    if problems:
        raise TopicsMissingError("could not create " + "; ".join(problems))


def _config(name: str, settings: KafkaSettings) -> dict[str, str]:
    """The configuration of a new topic, beyond the broker's defaults."""
    limit = SIZE_LIMIT if name.endswith(DEAD_LETTER_SUFFIX) else {}
    if not carries_texts(name):
        return dict(limit)
    return {**limit, "retention.ms": str(settings.kafka_topic_retention_hours * 3_600_000)}
