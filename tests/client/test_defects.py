"""A defect inside a worker: whoever asked is told so, and need not wait until his patience ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from vhm import Memory, Refused
from vhm.anchors.local.store import LocalStore
from vhm.local import System
from vhm.reteller.worker import Reteller


@pytest.fixture
def memory() -> Iterator[Memory]:
    """A system of its own, asked over Kafka."""
    with (
        System(environment={"EMBEDDING_MODEL": "deterministic"}) as system,
        Memory.connect(environment={"KAFKA_BOOTSTRAP_SERVERS": system.bootstrap}) as memory,
    ):
        yield memory


def broken(*_: Any, **__: Any) -> Any:
    raise TypeError("a secret of the innards")


def test_whoever_asks_is_told_of_a_defect(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = memory.remember("a lamp on the roof").wait()
    with monkeypatch.context() as defect:
        for verb in ("recall", "add", "forget"):
            defect.setattr(LocalStore, verb, broken)
        for asked, worker, topic in (
            (lambda: memory.recall("what is on the roof?"), "resonance", "recall-request"),
            (lambda: memory.recall("what is on the roof?", tell=False), "resonance", "recall-request"),
            (lambda: memory.remember("another").wait(), "indexer", "anchors-write"),
            (lambda: memory.forget(kept.anchor_id), "indexer", "anchors-forget"),
        ):
            with pytest.raises(Refused) as refused:
                asked()
            said = str(refused.value)
            assert f"{worker} failed at this message (TypeError); it is in {topic}.dead-letter" in said
            assert "innards" not in said
    assert memory.recall("what is on the roof?").beats[0].text == "a lamp on the roof"


def test_beats_come_with_a_story_that_says_it_could_not_be_told(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.remember("a lamp on the roof").wait()
    monkeypatch.setattr(Reteller, "_tell", broken)
    found = memory.recall("what is on the roof?")
    assert found.beats[0].text == "a lamp on the roof"
    assert found.story == (
        "I could not tell what I remember: reteller failed at this message (TypeError); "
        "it is in recall-response.dead-letter."
    )
