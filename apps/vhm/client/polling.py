"""A client of the wire: send records, wait for the records that answer them.

Answers are read from every partition of their topic from where it ended when the client opened, outside
any consumer group, so clients never take records from one another.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from vhm import local_state
from vhm.contract.env_loader import SettingsError, load
from vhm.contract.settings import Settings
from vhm.errors import UserError
from vhm.runtime.handler import Outgoing
from vhm.runtime.kafka_config import client_config

CONNECT_SECONDS = 5.0
START_SECONDS = 30.0
"""How long a `vhm up` that is starting is waited for."""


def settings(environment: Mapping[str, str] = os.environ, at: Path | None = None) -> Settings:
    """How to reach the broker: the environment, else the `vhm up` that runs here. Raises UserError."""
    named = environment.get("KAFKA_BOOTSTRAP_SERVERS") or environment.get("KAFKA_BOOTSTRAP")
    if not (named or "").strip():
        up = _running(at or local_state.folder(environment))
        if up is None:
            raise UserError("no `vhm up` is running here: start one, or set KAFKA_BOOTSTRAP_SERVERS")
        environment = {**environment, "KAFKA_BOOTSTRAP_SERVERS": up.bootstrap}
    try:
        return load(Settings, environment)
    except SettingsError as error:
        raise UserError("\n     ".join(error.errors)) from None


def _running(folder: Path) -> local_state.Running | None:
    """The `vhm up` on this folder, waited for while it starts."""
    until = time.monotonic() + START_SECONDS
    while (
        (up := local_state.running(folder)) is None
        and local_state.is_held(folder)
        and time.monotonic() < until
    ):
        time.sleep(0.2)
    return up


class Client:
    """A connection that sends to any topic and listens to `answers`. Raises UserError when it cannot."""

    def __init__(self, settings: Settings, answers: Sequence[str]) -> None:
        self._address = settings.kafka_bootstrap_servers
        self._trouble: KafkaError | None = None
        common = {**client_config(settings, "client"), "error_cb": self._note, "log_level": 0}
        self._producer = Producer({**common, "linger.ms": 1, "message.timeout.ms": 10_000})
        self._consumer = Consumer(
            {**common, "group.id": "vhm-client", "enable.auto.commit": False, "fetch.wait.max.ms": 20}
        )
        self._failed: KafkaError | None = None
        self._listen(answers)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._producer.flush(2 if kind is None else 0)
        self._consumer.close()

    def send(self, record: Outgoing) -> None:
        """Hand one record to the broker's client; delivery failures are raised by `answers`."""
        self._producer.produce(
            record.topic,
            key=record.key,
            value=record.value,
            headers=list(record.headers),
            on_delivery=self._delivered,
        )
        self._producer.poll(0)

    def answers(self, seconds: float) -> Iterator[Message]:
        """Records of the answer topics as they come, for `seconds`. Raises UserError on broker trouble."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._producer.poll(0)
            if self._failed is not None:
                raise UserError(f"the broker at {self._address} refused a record: {self._failed.str()}")
            message = self._consumer.poll(min(left, 0.1))
            if message is None:
                continue
            error = message.error()
            if error is None:
                yield message
            elif not error.retriable():
                raise UserError(f"the broker at {self._address}: {error.str()}")

    def _listen(self, topics: Sequence[str]) -> None:
        positions = []
        try:
            for topic in topics:
                found = self._consumer.list_topics(topic, timeout=CONNECT_SECONDS).topics[topic]
                if found.error is not None:
                    raise UserError(
                        f"the broker at {self._address} has no topic {topic}: start the workers first"
                    )
                for partition in found.partitions:
                    at = TopicPartition(topic, partition)
                    _, at.offset = self._consumer.get_watermark_offsets(at, timeout=CONNECT_SECONDS)
                    positions.append(at)
        except KafkaException as error:
            self._consumer.poll(0)  # hears what went wrong on the way
            trouble = self._trouble or error.args[0]
            raise UserError(self._line(trouble)) from None
        self._consumer.assign(positions)

    def _line(self, error: KafkaError) -> str:
        if error.code() == KafkaError._RESOLVE:
            return f"no such host: {self._address} (KAFKA_BOOTSTRAP_SERVERS)"
        if error.code() in (KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED):
            return (
                f"the broker at {self._address} refused the user or password (KAFKA_SASL_USERNAME, _PASSWORD)"
            )
        if error.code() == KafkaError._SSL:
            return f"no secure connection to {self._address}: {error.str()}"
        return f"no broker answers at {self._address} (is it up? is KAFKA_BOOTSTRAP_SERVERS right?)"

    def _note(self, error: KafkaError) -> None:
        if self._trouble is None or error.code() != KafkaError._ALL_BROKERS_DOWN:
            self._trouble = error

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self._failed = error
