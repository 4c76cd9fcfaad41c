"""Topics are there before anybody subscribes: created when missing, or only checked."""

from __future__ import annotations

from collections.abc import Sequence

from confluent_kafka import KafkaError, KafkaException, Producer

from vhm.runtime.kafka_config import client_config, describe, is_embedded
from vhm.runtime.settings import KafkaSettings

ASK_SECONDS = 5.0
CREATE_SECONDS = 10.0


class BrokerUnreachableError(Exception):
    """Nobody answered; one line."""


class TopicsMissingError(Exception):
    """Topics are not there and were not created; one line that names them and why."""


def ensure(producer: Producer, names: Sequence[str], settings: KafkaSettings) -> str:
    """See to it that the topics `names` exist; returns the cluster's id. Blocks for seconds at worst.

    Safe to call from several workers at once. Raises BrokerUnreachableError or TopicsMissingError; both may
    pass."""
    try:
        metadata = producer.list_topics(timeout=ASK_SECONDS)
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
        for name in missing:  # to it, being asked for a topic by name is what creates one
            producer.list_topics(name, timeout=ASK_SECONDS)
    else:
        _create(missing, settings)
    return cluster


def _create(names: Sequence[str], settings: KafkaSettings) -> None:
    # 40 ms to import, and mostly not needed
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.cimpl import NewTopic

    admin = AdminClient(client_config(settings, "topics"))
    topics = [
        NewTopic(name, settings.kafka_topic_partitions, settings.kafka_topic_replication_factor)
        for name in names
    ]
    futures = admin.create_topics(topics, operation_timeout=CREATE_SECONDS, request_timeout=CREATE_SECONDS)
    problems: list[str] = []
    for name, future in futures.items():
        try:
            future.result(CREATE_SECONDS + 1)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                problems.append(f"{name}: {describe(error.args[0])}")
    if problems:
        raise TopicsMissingError("could not create " + "; ".join(problems))
