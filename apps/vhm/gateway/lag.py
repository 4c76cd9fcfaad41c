"""How far the indexer is behind."""

from __future__ import annotations

from confluent_kafka import Consumer, KafkaException, TopicPartition

from vhm.contract.settings import Settings
from vhm.contract.topics import ANCHORS_WRITE
from vhm.runtime.kafka_config import client_config

ANSWER_SECONDS = 5.0


class IndexerLag:
    """Asks Kafka for the offsets of the group `indexer`, without joining it."""

    def __init__(self, settings: Settings) -> None:
        config = client_config(settings, "lag") | {
            "group.id": settings.kafka_topic_prefix + "indexer",
            "enable.auto.commit": False,
        }
        self._topic = settings.kafka_topic_prefix + ANCHORS_WRITE
        self._consumer = Consumer(config)

    def read(self) -> int | None:
        """Memories that are written and not yet taken; None when Kafka does not say. Blocks for seconds at
        worst."""
        try:
            topics = self._consumer.list_topics(self._topic, timeout=ANSWER_SECONDS).topics
            partitions = [TopicPartition(self._topic, n) for n in topics[self._topic].partitions]
            return sum(map(self._behind, self._consumer.committed(partitions, timeout=ANSWER_SECONDS)))
        except KafkaException:
            return None

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()

    def _behind(self, position: TopicPartition) -> int:
        first, end = self._consumer.get_watermark_offsets(position, timeout=ANSWER_SECONDS)
        return end - (position.offset if position.offset >= 0 else first)
