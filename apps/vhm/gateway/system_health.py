"""Health of the workers: group members, consumer lag, dead letters."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import stamina
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from vhm.client.errors import Unavailable
from vhm.contract.settings import Settings
from vhm.contract.topics import GROUPS, reads
from vhm.runtime.dead_letters import admin
from vhm.runtime.dead_letters.admin import DEAD_LETTER_TOPICS, DeadLetter, DeadLettersError
from vhm.runtime.kafka_config import client_config, describe

ANSWER_SECONDS = 5.0

LAST_LETTERS = 50
"""Dead letters shown of each partition, the newest."""


class WorkerState(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of worker. `members` and `lag` are None where Kafka does not say; `reasons` say why it does
    not work, as far as that is known here."""

    name: str
    members: int | None = None
    lag: int | None = None
    reasons: Sequence[str] = ()

    @property
    def works(self) -> bool | None:
        """Whether its group has a member; None where that is not known."""
        if self.reasons or self.members == 0:
            return False
        return None if self.members is None else True


class GroupLag:
    """Asks Kafka for the offsets of a worker's group, without joining it."""

    def __init__(self, settings: Settings, worker: str) -> None:
        config = client_config(settings, "lag") | {
            "group.id": settings.kafka_topic_prefix + worker,
            "enable.auto.commit": False,
        }
        self._topics = [settings.kafka_topic_prefix + name for name in reads(worker)]
        self._consumer = Consumer(config)

    def read(self) -> int | None:
        """The lag of the group in records; None when Kafka does not say. Blocks for seconds at worst."""
        try:
            known = self._consumer.list_topics(timeout=ANSWER_SECONDS).topics
            partitions = [
                TopicPartition(name, number)
                for name in self._topics
                if name in known
                for number in known[name].partitions
            ]
            if not partitions:
                return None
            return sum(map(self._behind, self._consumer.committed(partitions, timeout=ANSWER_SECONDS)))
        except KafkaException:
            return None

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()

    def _behind(self, position: TopicPartition) -> int:
        first, end = self._consumer.get_watermark_offsets(position, timeout=ANSWER_SECONDS)
        return end - (position.offset if position.offset >= 0 else first)


class SystemHealth:
    """The workers' health as Kafka reports it, or `local` where they run in this process."""

    def __init__(self, settings: Settings, local: Callable[[], Sequence[WorkerState]] | None = None) -> None:
        self._settings = settings
        self._local = local

    async def workers(self) -> Sequence[WorkerState]:
        """The state of each kind of worker. Raises Unavailable when Kafka cannot be asked."""
        if self._local is not None:
            return self._local()
        return await asyncio.to_thread(self._groups)

    async def dead_letters(self) -> Sequence[DeadLetter]:
        """The newest dead letters, newest first. Raises Unavailable."""
        prefix = self._settings.kafka_topic_prefix
        topics = [prefix + name for name in DEAD_LETTER_TOPICS]
        try:
            letters = await asyncio.to_thread(admin.read, self._config(), topics, None, LAST_LETTERS)
        except DeadLettersError as error:
            raise Unavailable(f"cannot read dead letters: {error}") from None
        return letters[::-1]

    def _config(self) -> dict[str, Any]:
        return client_config(self._settings, "health") | {"log_level": 0}

    def _groups(self) -> Sequence[WorkerState]:
        client = AdminClient(self._config())
        names = {self._settings.kafka_topic_prefix + worker: worker for worker in GROUPS}
        states = []
        for group in names:
            try:
                members = _members(client, group)
            except KafkaException as error:
                raise Unavailable(f"Kafka does not say who reads: {describe(error.args[0])}") from None
            lag = GroupLag(self._settings, names[group])
            try:
                states.append(WorkerState(name=names[group], members=members, lag=lag.read()))
            finally:
                lag.close()
        return states


def _is_moving(error: Exception) -> bool:
    """Whether the group's coordinator is about to be another broker, or has just begun."""
    codes = (
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
    )
    return isinstance(error, KafkaException) and error.args[0].code() in codes


@stamina.retry(on=_is_moving, attempts=5, wait_initial=0.2, timeout=ANSWER_SECONDS)
def _members(client: AdminClient, group: str) -> int | None:
    """The members of a group; None where the broker describes none. Raises KafkaException."""
    try:
        future = client.describe_consumer_groups([group], request_timeout=ANSWER_SECONDS)[group]
        return len(future.result().members)
    except KafkaException as error:
        if error.args[0].code() == KafkaError._UNSUPPORTED_FEATURE:  # the embedded broker
            return None
        raise
