"""librdkafka's configuration from the settings, and its errors in one line.

Names of the properties: https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md
"""

from __future__ import annotations

import logging
from typing import Any

from confluent_kafka import KafkaError

from vhm.runtime.settings import KafkaSettings

COMMIT_INTERVAL_MS = 200
"""Stored offsets are committed this often. They are stored at most 50 ms after they are done, so a crash
repeats what was in flight and at most what was done in the 250 ms before."""

MAX_MESSAGE_BYTES = 16_000_000
"""Our own limit on a produced record, well above any sensible broker's, so that the broker decides."""

SESSION_MS = 6_000
"""Time after which a dead member's partitions go to another one (classic protocol)."""

EMBEDDED_FETCH: dict[str, Any] = {
    # the embedded broker keeps 5 MB a partition and drops the oldest, acknowledged or not: all that is there
    # is fetched at once and waits in this process, however much it is
    "queued.min.messages": 10_000_000,
    "queued.max.messages.kbytes": 2_097_151,
    "fetch.message.max.bytes": 8_000_000,
    "fetch.max.bytes": 64_000_000,
    # the consumer is not polled while there is no room, and stays the only member
    "max.poll.interval.ms": 86_400_000,
    # the embedded broker answers a fetch after the whole wait even when records have come
    "fetch.wait.max.ms": 5,
}

EMBEDDED_CLUSTER = "mockCluster"
"""How the cluster ids of librdkafka's mock cluster start."""

Config = dict[str, Any]


def client_config(settings: KafkaSettings, name: str) -> Config:
    """What every client needs: addresses, security, and reconnecting within 2 s."""
    config: Config = {
        "bootstrap.servers": settings.kafka_bootstrap_servers,
        "client.id": f"vhm-{name}",
        "security.protocol": settings.kafka_security_protocol,
        "socket.keepalive.enable": True,
        "socket.timeout.ms": 10_000,
        "socket.connection.setup.timeout.ms": 5_000,
        "reconnect.backoff.ms": 100,
        "reconnect.backoff.max.ms": 2_000,
        "topic.metadata.refresh.interval.ms": 60_000,
        "log.connection.close": False,
        "logger": _LIBRDKAFKA,
    }
    if settings.kafka_sasl_mechanism is not None and settings.kafka_security_protocol.startswith("SASL"):
        username, password = settings.kafka_sasl_username, settings.kafka_sasl_password
        config |= {
            "sasl.mechanism": settings.kafka_sasl_mechanism,
            "sasl.username": username.reveal() if username else "",
            "sasl.password": password.reveal() if password else "",
        }
    if settings.kafka_ssl_ca_location is not None:
        config["ssl.ca.location"] = settings.kafka_ssl_ca_location
    return config


def producer_config(settings: KafkaSettings, name: str) -> Config:
    """An idempotent producer that retries for as long as it takes: a broker that is down fails no record."""
    return client_config(settings, name) | {
        "enable.idempotence": True,
        "acks": "all",
        "linger.ms": 1,
        "compression.type": "lz4",
        "message.max.bytes": MAX_MESSAGE_BYTES,
        # no limit: the worker waits for the acknowledgement either way, and giving up would only reorder
        "message.timeout.ms": 0,
        # a topic unknown for this long fails its records, and the worker then checks its topics
        "topic.metadata.propagation.max.ms": 3_000,
    }


def consumer_config(settings: KafkaSettings, group: str, *, embedded: bool = False) -> Config:
    """A consumer whose offsets we store ourselves and librdkafka commits in the background.

    `classic` is the default because there the client sets the session: after a crash the partitions
    move on in 6 s; with `consumer` (KIP-848) the broker does, and stock brokers wait 45 s.

    Members are dynamic (no `group.instance.id`). Static ones work with `classic`: one that comes back
    within the session has its partitions at once and moves nobody's. But it must come back under its old
    name, which pods of a Deployment do not; one that stops for good leaves its partitions untended for
    the session, where a dynamic one hands them over at once; and with `consumer` one that was killed is
    refused, fatally, until the session of its former self has ended.
    """
    config = client_config(settings, group) | {
        "group.id": settings.kafka_topic_prefix + group,
        "auto.offset.reset": "earliest",
        "enable.auto.offset.store": False,
        "enable.auto.commit": True,
        "auto.commit.interval.ms": COMMIT_INTERVAL_MS,
        "queued.max.messages.kbytes": 16_384,
        "fetch.queue.backoff.ms": 20,
    }
    if embedded:
        config |= EMBEDDED_FETCH
    if settings.kafka_group_protocol == "consumer":
        return config | {"group.protocol": "consumer"}
    return config | {
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": SESSION_MS,
        "heartbeat.interval.ms": 1_500,
    }


def is_embedded(cluster_id: str | None) -> bool:
    """Whether this is librdkafka's mock cluster, which does not know the request that creates topics."""
    return cluster_id is not None and cluster_id.startswith(EMBEDDED_CLUSTER)


def describe(error: KafkaError) -> str:
    """The error in one line, with the fix where there is one."""
    text = " ".join(error.str().split())
    hint = _HINTS.get(error.code())
    return f"{text} ({error.name()})" + (f": {hint}" if hint else "")


_HINTS = {
    KafkaError._AUTHENTICATION: "check KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and KAFKA_SASL_MECHANISM",
    KafkaError.SASL_AUTHENTICATION_FAILED: "check KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD",
    KafkaError.UNSUPPORTED_SASL_MECHANISM: "check KAFKA_SASL_MECHANISM",
    KafkaError._SSL: "check KAFKA_SSL_CA_LOCATION and the host name in KAFKA_BOOTSTRAP_SERVERS",
    KafkaError._RESOLVE: "check KAFKA_BOOTSTRAP_SERVERS",
    KafkaError._ALL_BROKERS_DOWN: "check KAFKA_BOOTSTRAP_SERVERS and whether the broker runs",
    KafkaError.MSG_SIZE_TOO_LARGE: "raise the topic's max.message.bytes",
    KafkaError.INCONSISTENT_GROUP_PROTOCOL: "another member of the group uses another assignor or "
    "protocol; stop it, or make KAFKA_GROUP_PROTOCOL the same everywhere",
}


CONNECTION_ERRORS = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
        KafkaError._SSL,
        KafkaError._RESOLVE,
    }
)
"""Errors of the connection to a broker that say what is wrong."""


def is_fatal(error: KafkaError) -> bool:
    """Whether the client can do no more. `fatal()` alone misses a refused group protocol."""
    return error.fatal() or error.code() == KafkaError._FATAL


def fatal_line(error: KafkaError, settings: KafkaSettings) -> str:
    """Why the client ended, in one line, and what to set when the broker lacks KIP-848."""
    line = f"Kafka client error that cannot be recovered from: {describe(error)}"
    text = error.str()  # other refusals of the heartbeat are fatal, too
    lacking = "ConsumerGroupHeartbeat" in text and "not supported" in text
    if settings.kafka_group_protocol == "consumer" and lacking:
        line += ". The broker does not serve KAFKA_GROUP_PROTOCOL=consumer: set KAFKA_GROUP_PROTOCOL=classic"
    return line


def setup_line(error: KafkaError, settings: KafkaSettings) -> str:
    """Why a client could not be made, in one line; the likeliest fault is a file."""
    ca = settings.kafka_ssl_ca_location
    hint = f"; check KAFKA_SSL_CA_LOCATION ({ca})" if ca and "ssl" in error.str() else ""
    return f"Kafka client cannot be set up: {describe(error)}{hint}"


_LIBRDKAFKA = logging.getLogger("vhm.librdkafka")
# librdkafka logs every attempt; what matters comes through error callbacks, so this is for DEBUG only
_LIBRDKAFKA.setLevel(logging.CRITICAL)
_LIBRDKAFKA.propagate = False
