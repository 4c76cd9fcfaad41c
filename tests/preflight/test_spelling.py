"""Which name was probably meant, and what may exist though the render does not hold it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.spelling import base_of, closest, distance, near


@pytest.mark.parametrize(
    ("name", "others", "meant"),
    [
        ("vhm-confg", ["vhm-config", "store-config"], "vhm-config"),
        ("kafka-servcie", ["kafka-service"], "kafka-service"),
        ("KAFKA_BOOTSTRAP_SERVER", ["KAFKA_BOOTSTRAP_SERVERS", "KAFKA_BOOTSTRAP"], "KAFKA_BOOTSTRAP_SERVERS"),
        ("RESONANCE_LOGLEVEL", ["RESONANCE_LOG_LEVEL"], "RESONANCE_LOG_LEVEL"),
        ("vmh", ["vhm"], "vhm"),
        ("http_port", ["HTTP_PORT"], "HTTP_PORT"),
    ],
)
def test_a_slip_is_recognised(name: str, others: list[str], meant: str) -> None:
    assert near(name, others) == meant


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("web-1", "web-2"),
        ("shard10", "shard11"),
        ("app-dev", "app-env"),
        ("db", "dc"),
        ("read-only", "read-once-only"),
        ("prod-secrets", "test-secrets"),
        ("kafka", "kafka-service"),
        ("same", "same"),
    ],
)
def test_siblings_are_no_slips(name: str, other: str) -> None:
    assert near(name, [other]) is None
    assert near(other, [name]) is None


@given(st.text("abcdefgh", min_size=4, max_size=12), st.data())
def test_a_swap_of_two_letters_is_one_slip(word: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(word) - 2))
    swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if swapped != word:
        assert distance(word, swapped) == 1
        assert near(swapped, [word]) == word


def test_a_hash_of_kustomize_is_no_part_of_the_name() -> None:
    assert base_of("vhm-config-79k27g8h74") == "vhm-config"
    assert base_of("vhm-config-production") == "vhm-config-production"


def test_a_mistyped_word_of_the_command_line() -> None:
    assert closest("service-selects-nothin", ["service-selects-nothing", "service-selects-others"]) == (
        "service-selects-nothing"
    )
    assert closest("qqq", ["image-not-pinned"]) is None
