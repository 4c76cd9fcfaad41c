"""Topics exist before anybody subscribes: created when missing, or only checked."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from concurrent.futures import Future

from confluent_kafka import KafkaError, KafkaException, Producer

from vhm.contract.topics import DEAD_LETTER_SUFFIX
from vhm.runtime.kafka_config import MAX_MESSAGE_BYTES, client_config, describe, is_embedded
from vhm.runtime.settings import KafkaSettings

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


def raise_size_limit(topic: str, settings: KafkaSettings) -> None:
    """Raise a topic's max.message.bytes to SIZE_LIMIT, where the broker lets us. Blocks for up to 11 s."""
    from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its documented API, not re-exported
        AdminClient,
        AlterConfigOpType,
        ConfigEntry,
        ConfigResource,
        ResourceType,
    )

    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        for name, value in SIZE_LIMIT.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    admin = AdminClient(client_config(settings, "topics"))
    changes: dict[ConfigResource, Future[None]] = admin.incremental_alter_configs(
        [resource], request_timeout=ADMIN_SECONDS
    )
    for change in changes.values():
        with contextlib.suppress(KafkaException):  # the refusal of the record says what to do
            change.result(ADMIN_SECONDS + 1)


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
            config=SIZE_LIMIT if name.endswith(DEAD_LETTER_SUFFIX) else {},
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
