"""What the verbs promise, the same over every transport."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import vhm
from gateway.serving import KEY, Served
from vhm import AsyncMemory, Memory, Receipt, Refused, Unavailable
from vhm.client import kafka
from vhm.client.fields import anchor_of
from vhm.local import System


def word() -> str:
    """A word that no other test has remembered."""
    return f"w{uuid.uuid4().hex[:12]}"


def test_nothing_else_is_public() -> None:
    assert set(vhm.__all__) == {
        "Anchor",
        "AsyncMemory",
        "Beat",
        "Memory",
        "Receipt",
        "Recollection",
        "Refused",
        "Unavailable",
    }
    for name in vhm.__all__:
        assert getattr(vhm, name).__name__ == name


def test_one_s_own_memory_is_recalled_as_soon_as_its_receipt_is_there(memory: Memory) -> None:
    about = word()
    sent = memory.remember(f"{about} on the roof", session="s1", speaker="Ana", at=datetime(2026, 1, 2, 3, 4))
    receipt = sent.wait()
    assert receipt == Receipt(anchor_id=sent.anchor_id)
    found = memory.recall(about, explain=3)
    assert next(iter(found)).text == f"{about} on the roof"
    assert found.beats[0].anchor_id == sent.anchor_id
    assert found.story
    assert f"{about} on the roof" in found.story
    assert [candidate.anchor_id for candidate in found.candidates][:1] == [sent.anchor_id]


def test_a_question_that_asks_for_no_story_has_none(memory: Memory) -> None:
    about = word()
    memory.remember(about).wait()
    found = memory.recall(about, tell=False)
    assert (found.story, found.beats[0].text, found.candidates) == (None, about, [])


def test_the_asking_session_s_own_memories_are_left_out(memory: Memory) -> None:
    about = word()
    memory.remember(f"{about} here", session="chat-7").wait()
    memory.remember(f"{about} there", session="chat-8").wait()
    texts = [beat.text for beat in memory.recall(about, session="chat-7")]
    assert texts[0] == f"{about} there"
    assert f"{about} here" not in texts


def test_every_fault_is_named(memory: Memory) -> None:
    with pytest.raises(Refused) as caught:
        memory.remember("", salience=9)
    assert [fault.partition(":")[0] for fault in caught.value.faults] == ["text", "salience"]
    with pytest.raises(Refused, match="query"):
        memory.recall("")
    with pytest.raises(Refused, match="exactly one of"):
        memory.forget()


def test_an_id_that_holds_something_else_is_refused(memory: Memory) -> None:
    anchor_id = uuid.uuid4()
    at = datetime(2026, 5, 1, tzinfo=UTC)
    memory.remember("this", anchor_id=anchor_id, at=at).wait()
    memory.remember("this", anchor_id=anchor_id, at=at).wait()
    with pytest.raises(Refused, match="anchor_immutable_violation"):
        memory.remember("that", anchor_id=anchor_id, at=at).wait()


def test_many_have_their_receipts_in_order(memory: Memory) -> None:
    about = word()
    anchors = [anchor_of("", {"text": f"{about} {number}"}) for number in range(200)]
    receipts = list(memory.remember_many(anchors))
    assert [receipt.anchor_id for receipt in receipts if isinstance(receipt, Receipt)] == [
        anchor.anchor_id for anchor in anchors
    ]


def test_many_threads_get_their_own_answers(memory: Memory) -> None:
    words = [word() for _ in range(40)]
    yesterday = datetime.now(UTC) - timedelta(days=1)
    said = [anchor_of("", {"text": f"{about} said", "stored_at": yesterday}) for about in words]
    assert all(isinstance(receipt, Receipt) for receipt in memory.remember_many(said))
    wrong: list[str] = []

    def ask(about: str) -> None:
        texts = [beat.text for beat in memory.recall(about, k=1)]
        if texts != [f"{about} said"]:
            wrong.append(f"{about}: {texts}")

    threads = [threading.Thread(target=ask, args=(about,)) for about in words]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_closing_waits_for_what_was_handed_over(system: System) -> None:
    about = word()
    environment = {"KAFKA_BOOTSTRAP_SERVERS": system.bootstrap}
    before = threading.active_count()
    with Memory.connect(environment=environment) as memory:
        memory.remember(f"{about} at the last moment")
    assert threading.active_count() == before
    with Memory.connect(environment=environment) as memory:
        assert memory.recall(about).beats[0].text == f"{about} at the last moment"


def test_tasks_share_a_connection(served: Served) -> None:
    words = [word() for _ in range(20)]

    async def live() -> list[str]:
        async with AsyncMemory.connect(served.url, key=KEY) as memory:
            pending = await asyncio.gather(*(memory.remember(f"{about} said") for about in words))
            await asyncio.gather(*(one.wait() for one in pending))
            found = await asyncio.gather(*(memory.recall(about, k=1, tell=False) for about in words))
            return [one.beats[0].text for one in found]

    assert asyncio.run(live()) == [f"{about} said" for about in words]


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        ({"VHM_URL": "http://127.0.0.1:1"}, "no gateway answers at http://127.0.0.1:1"),
        ({"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}, "no broker answers at 127.0.0.1:1"),
        ({"KAFKA_BOOTSTRAP_SERVERS": "nowhere.invalid:9092"}, "no such host: nowhere.invalid:9092"),
    ],
)
def test_a_system_that_is_not_there_is_one_line(
    environment: dict[str, str], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka, "CONNECT_SECONDS", 1.0)
    with pytest.raises(Unavailable, match=line), Memory.connect(environment=environment) as memory:
        memory.recall("anything", seconds=5)


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(Refused, match="VHM_URL: expected http"):
        Memory.connect("localhost:8000")


def test_importing_it_brings_no_client_library() -> None:
    code = "import sys; from vhm import Memory; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    loaded = set(run.stdout.split())
    assert not loaded & {"confluent_kafka", "httpx", "litestar", "qdrant_client", "numpy", "mcp", "openai"}


def test_nothing_crosses_owners(memory: Memory) -> None:
    about, anchor_id = word(), uuid.uuid4()
    sam, ann = memory.of("sam"), memory.of("ann")
    sam.remember(f"{about} of Sam", anchor_id=anchor_id, session="s").wait()
    ann.remember(f"{about} of Ann", anchor_id=anchor_id, session="s").wait()
    assert [beat.text for beat in sam.recall(about) if about in beat.text] == [f"{about} of Sam"]
    assert [beat.text for beat in ann.recall(about) if about in beat.text] == [f"{about} of Ann"]
    assert not [beat.text for beat in memory.recall(about) if about in beat.text]


def test_what_is_asked_for_is_bounded(memory: Memory) -> None:
    about = word()
    moments = [datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 3)]
    kinds = [{"kind": "a", "n": 1}, {"kind": "b", "n": 2}, {"kind": ["a"], "n": True}]
    did = ["cooked lentil soup", "rode the night train", "painted our garden fence"]
    for text, moment, meta in zip(did, moments, kinds, strict=True):
        memory.remember(f"{about} {text}", at=moment, meta=meta).wait()

    def numbers(**bounds: Any) -> list[int]:
        texts = [beat.text for beat in memory.recall(about, **bounds) if about in beat.text]
        return sorted(did.index(text.removeprefix(f"{about} ")) for text in texts)

    assert numbers() == [0, 1, 2]
    assert numbers(since=moments[1]) == [1, 2]
    assert numbers(until=moments[1]) == [0]
    assert numbers(since=moments[1], until=moments[2]) == [1]
    assert numbers(where={"kind": "a"}) == [0]
    assert numbers(where={"n": 1}) == [0]
    assert numbers(where={"n": True}) == [2]
    assert numbers(where={"kind": "a", "n": 2}) == []
    assert numbers(at_least=1.0) == []
    beat = memory.recall(about, where={"kind": "b"}).beats[0]
    assert (beat.meta, beat.stored_at) == ({"kind": "b", "n": 2}, moments[1])


def test_memories_are_listed_newest_first_also_of_one_moment(memory: Memory) -> None:
    owner = memory.of(f"lists-{uuid.uuid4().hex[:8]}")
    same = datetime(2026, 4, 1, tzinfo=UTC)
    anchors = [
        anchor_of(
            owner.owner,
            {
                "text": f"entry {number}",
                "stored_at": same if number < 120 else same + timedelta(hours=number),
            },
        )
        for number in range(150)
    ]
    assert all(isinstance(receipt, Receipt) for receipt in owner.remember_many(anchors))
    with contextlib.suppress(Unavailable):  # Kafka alone cannot read the store, see below
        listed = list(owner.memories())
        assert {anchor.anchor_id for anchor in listed} == {anchor.anchor_id for anchor in anchors}
        assert len(listed) == 150
        assert [anchor.stored_at for anchor in listed] == sorted(
            (anchor.stored_at for anchor in anchors), reverse=True
        )
        stored = owner.get(anchors[0].anchor_id)
        assert stored is not None
        assert stored.anchor == anchors[0]
        assert owner.get(uuid.uuid4()) is None
        assert memory.get(anchors[0].anchor_id) is None
        assert len(list(owner.memories(since=same + timedelta(hours=130)))) == 20


def test_what_is_forgotten_is_recalled_no_more_and_does_not_come_back(memory: Memory) -> None:
    about, at = word(), datetime(2026, 5, 1, tzinfo=UTC)
    owner = memory.of(f"forgets-{uuid.uuid4().hex[:8]}")

    def texts() -> set[str]:
        return {beat.text.removeprefix(f"{about} ") for beat in owner.recall(about, k=10)}

    did = ["cooked lentil soup", "rode the night train", "painted our garden fence", "met a heron"]
    ids = []
    for days, text in enumerate(did):
        session = "s/1 é" if days == 2 else None
        sent = owner.remember(f"{about} {text}", at=at + timedelta(days=days), session=session)
        ids.append(sent.wait().anchor_id)
    assert memory.forget(ids[0]) == 0  # another owner's
    assert owner.forget(ids[0], uuid.uuid4()) == 1
    assert texts() == set(did[1:])
    with pytest.raises(Refused, match="anchor_forgotten"):
        owner.remember(f"{about} {did[0]}", at=at, anchor_id=ids[0]).wait()
    assert owner.forget(session="s/1 é") == 1
    assert owner.forget(before=at + timedelta(days=2)) == 1
    assert texts() == {did[3]}
    assert owner.forget(everything=True) == 1
    assert texts() == set()
    owner.remember(f"{about} {did[3]} again", at=at).wait()
    assert texts() == {f"{did[3]} again"}


def test_what_is_superseded_or_has_expired_is_recalled_no_more(memory: Memory) -> None:
    about, at = word(), datetime(2026, 5, 1, tzinfo=UTC)
    older = memory.remember(f"{about} eats meat", at=at).wait().anchor_id
    newer = memory.remember(f"{about} is vegetarian", at=at + timedelta(days=1), supersedes=[older]).wait()
    memory.remember(f"{about} is ill", at=at, expires_at=at + timedelta(days=7)).wait()
    found = memory.recall(about, k=10, explain=10)
    assert [beat.text for beat in found if about in beat.text] == [f"{about} is vegetarian"]
    left_out = {one.text: one.left_out for one in found.candidates if about in one.text}
    assert left_out[f"{about} eats meat"] == f"superseded by {newer.anchor_id}"
    assert left_out[f"{about} is ill"] == "expired"
    with contextlib.suppress(Unavailable):  # Kafka alone cannot read the store, see below
        stored = memory.get(older)
        assert stored is not None
        assert stored.superseded_by == newer.anchor_id
    with pytest.raises(Refused, match="supersedes"):
        memory.remember("a circle", anchor_id=older, at=at, supersedes=[newer.anchor_id]).wait()


def test_kafka_alone_cannot_read_the_store(system: System) -> None:
    with Memory.connect(environment={"KAFKA_BOOTSTRAP_SERVERS": system.bootstrap}) as memory:
        for read in (memory.export, memory.memories, lambda: [memory.get(uuid.uuid4())]):
            with pytest.raises(Unavailable, match="VHM_URL"):
                list(read())
