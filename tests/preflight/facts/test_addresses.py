"""Addresses as settings write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.facts.addresses import Address, parse


@pytest.mark.parametrize(
    ("value", "addresses"),
    [
        ("kafka-service:9092", [("kafka-service", 9092)]),
        ("kafka-0.kafka:9092, kafka-1.kafka:9092", [("kafka-0.kafka", 9092), ("kafka-1.kafka", 9092)]),
        ("http://qdrant-service:6333", [("qdrant-service", 6333)]),
        ("https://API.openai.com/v1", [("api.openai.com", 443)]),
        ("redis://:secret@cache/0", [("cache", 6379)]),
        ("postgres://me:secret@db:5433/shop?sslmode=off", [("db", 5433)]),
        ("http://[::1]:8080/", [("::1", 8080)]),
        ("db", [("db", None)]),
        ("local:/var/lib/vhm", []),
        ("", []),
        ("not an address", []),
        ("$(POD_IP):9092", []),
    ],
)
def test_hosts_and_ports(value: str, addresses: list[tuple[str, int | None]]) -> None:
    assert [(each.host, each.port) for each in parse(value)] == addresses


@pytest.mark.parametrize(
    ("host", "of_cluster"),
    [
        ("kafka", True),
        ("kafka.vhm.svc", True),
        ("kafka.vhm.svc.cluster.local", True),
        ("kafka.vhm", False),
        ("api.openai.com", False),
        ("10.0.0.1", False),
        ("localhost", False),
        ("127.0.0.1", False),
        ("::1", False),
    ],
)
def test_what_can_only_be_a_name_of_the_cluster(host: str, of_cluster: bool) -> None:
    assert Address(host, None).is_of_cluster is of_cluster


@given(st.text(max_size=60))
def test_any_value_is_taken(value: str) -> None:
    for each in parse(value):
        assert each.host
        assert each.host == each.host.lower()
