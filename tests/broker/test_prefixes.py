"""Two installs on one broker and one store, a prefix and a collection each: nothing crosses."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AdminClient

from broker.conftest import Place
from broker.harness import Client, Running
from vhm import Memory
from vhm.contract.env_loader import load
from vhm.contract.topics import ANCHORS_WRITE, TOPICS
from vhm.indexer import settings as indexer_settings
from vhm.indexer import worker as indexer
from vhm.resonance import settings as resonance_settings
from vhm.resonance import worker as resonance
from vhm.reteller import settings as reteller_settings
from vhm.reteller import worker as reteller
from vhm.runtime.handler import Handler
from vhm.runtime.settings import WorkerSettings

PREFIXES = ("", "shop.", "shop.two.")


@contextlib.contextmanager
def install(place: Place, folder: Path, prefix: str) -> Iterator[Memory]:
    """The workers of one install, and a client of it."""
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": place.address,
        "KAFKA_GROUP_PROTOCOL": place.protocol,
        "KAFKA_TOPIC_PREFIX": prefix,
        "QDRANT_URL": f"local:{folder}",
        "QDRANT_COLLECTION": f"{prefix.replace('.', '-')}anchors",
        "EMBEDDING_MODEL": "deterministic",
        "RESONANCE_LEAST_MATCH": "0",
    }
    makers: tuple[tuple[Callable[[Any], Handler], type[Any]], ...] = (
        (indexer.make, indexer_settings.Settings),
        (resonance.make, resonance_settings.Settings),
        (reteller.make, reteller_settings.Settings),
    )
    with contextlib.ExitStack() as stack:
        for make, kind in makers:
            settings: WorkerSettings = load(kind, environment)
            worker = stack.enter_context(Running(make(settings), place.address, settings))
            worker.ready(60).assigned()
        yield stack.enter_context(Memory.connect(environment=environment))


def texts(prefix: str) -> set[str]:
    """What is remembered in one install."""
    return {f"a red lamp of {prefix or 'nobody'}", f"a green lamp of {prefix or 'nobody'}"}


def test_nothing_crosses(place: Place, tmp_path: Path) -> None:
    same = [uuid.uuid4(), uuid.uuid4()]
    with contextlib.ExitStack() as stack:
        memories = {prefix: stack.enter_context(install(place, tmp_path, prefix)) for prefix in PREFIXES}
        for prefix, memory in memories.items():
            for anchor_id, text in zip(same, sorted(texts(prefix)), strict=True):
                memory.remember(text, anchor_id=anchor_id).wait()
        for prefix, memory in memories.items():
            found = memory.recall("which lamp?", k=10)
            assert {beat.text for beat in found} == texts(prefix)
            assert found.story
        assert memories["shop."].forget(everything=True) == 2
        for prefix, memory in memories.items():
            kept = set() if prefix == "shop." else texts(prefix)
            assert {beat.text for beat in memory.recall("which lamp?", k=10)} == kept
        admin = AdminClient({"bootstrap.servers": place.address, "log_level": 0})
        topics = {name for name in admin.list_topics(timeout=10).topics if not name.startswith("__")}
        assert topics == {prefix + topic.name for prefix in PREFIXES for topic in TOPICS}
        if not place.is_embedded:  # which lists no groups
            groups = {group.group_id for group in admin.list_consumer_groups().result(10).valid}
            workers = ("indexer", "resonance", "reteller")
            assert groups >= {prefix + worker for prefix in PREFIXES for worker in workers}
        for prefix in PREFIXES:
            assert len(Client(place.address).read(prefix + ANCHORS_WRITE, 2, extra=0.2)) == 2
