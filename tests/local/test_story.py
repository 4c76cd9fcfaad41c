"""Memories in, a retelling out, as a client of the published system sees it."""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from local.foreign_client import ForeignClient, anchor
from vhm.contract.topics import (
    ANCHORS_INDEXED,
    ANCHORS_WRITE,
    RECALL_REQUEST,
    RECALL_RESPONSE,
    RETELL_RESPONSE,
    dead_letter,
)
from vhm.local import System
from vhm.runtime.handler import headers_of

ANSWERS = [ANCHORS_INDEXED, RECALL_RESPONSE, RETELL_RESPONSE]


def remember(wire: ForeignClient, body: dict[str, Any]) -> dict[str, Any]:
    wire.send(ANCHORS_WRITE, body)
    return wire.answer(ANCHORS_INDEXED, "anchor_id", body["anchor_id"])


def test_three_memories_come_back_as_a_story(system: System) -> None:
    word = uuid.uuid4().hex
    with ForeignClient(system.bootstrap, ANSWERS) as wire:
        for days, text in (
            (1, f"{word} apple tart"),
            (10, f"{word} apple market"),
            (40, f"{word} apple tree"),
        ):
            body = anchor(text, days)
            assert remember(wire, body) == {"anchor_id": body["anchor_id"], "ok": True}
        request_id = str(uuid.uuid4())
        wire.send(RECALL_REQUEST, {"request_id": request_id, "query": f"{word} apple"})
        recalled = wire.answer(RECALL_RESPONSE, "request_id", request_id)
        ages = {beat["perceived_age"] for beat in recalled["beats"]}
        assert ages == {"yesterday", "1 week ago", "1 month ago"}
        activations = [beat["activation"] for beat in recalled["beats"]]
        assert activations == sorted(activations, reverse=True)
        retold = wire.answer(RETELL_RESPONSE, "request_id", request_id)
        assert "apple" in retold["retelling"]
        assert len(retold["retelling"]) <= 400


def test_null_stands_for_absent_and_no_key_is_needed(system: System) -> None:
    with ForeignClient(system.bootstrap, ANSWERS) as wire:
        body = anchor(f"nulls {uuid.uuid4().hex}", salience=None, meta=None)
        assert remember(wire, body)["ok"]
        optional = dict.fromkeys(("request_id", "now", "top_k", "session_id", "ignore_anchor_ids"))
        wire.send(RECALL_REQUEST, {"query": body["text"], **optional})
        message = wire.next()
        while message.topic() != RECALL_RESPONSE:
            message = wire.next()
        recalled = json.loads(message.value() or b"")
        assert recalled["beats"][0]["anchor_id"] == body["anchor_id"]
        assert uuid.UUID(recalled["request_id"])


def test_a_memory_never_changes(system: System) -> None:
    with ForeignClient(system.bootstrap, ANSWERS) as wire:
        body = anchor(f"immutable {uuid.uuid4().hex}", salience=1.5, meta={"session": "s"})
        assert remember(wire, body)["ok"]
        assert remember(wire, body) == {"anchor_id": body["anchor_id"], "ok": True}
        others: tuple[dict[str, Any], ...] = (
            {"text": "other"},
            {"salience": 1.0},
            {"meta": {}},
            {"stored_at": "2020-01-01T00:00:00Z"},
        )
        for other in others:
            refused = remember(wire, body | other)
            assert (refused["ok"], refused["reason"]) == (False, "anchor_immutable_violation")


def test_filters_leave_out_session_ignored_and_too_young(system: System) -> None:
    word = uuid.uuid4().hex
    kept, session, ignored = (
        anchor(f"{word} kept"),
        anchor(f"{word} said here", meta={"session": "a"}),
        anchor(f"{word} ignored"),
    )
    young, future = anchor(f"{word} young", days=2 / 86400), anchor(f"{word} future", days=-1)
    with ForeignClient(system.bootstrap, ANSWERS) as wire:
        for body in (kept, session, ignored, young, future):
            assert remember(wire, body)["ok"]
        request = {
            "request_id": str(uuid.uuid4()),
            "query": word,
            "session_id": "a",
            "ignore_anchor_ids": [ignored["anchor_id"]],
            "top_k": 50,
        }
        wire.send(RECALL_REQUEST, request)
        found = [
            beat["text"]
            for beat in wire.answer(RECALL_RESPONSE, "request_id", request["request_id"])["beats"]
            if word in beat["text"]
        ]
        assert found == [kept["text"]]


GOOD_BEAT = {"anchor_id": str(uuid.UUID(int=1)), "text": "t", "perceived_age": "yesterday", "activation": 0.9}
BAD = {
    "no json": b"tea",
    "not utf-8": b'{"text": "\xff"}',
    "empty": b"",
    "one megabyte": b'{"text": "' + b"x" * 900_000 + b'"}',
    "deep": b"[" * 50_000,
    "nan": b'{"salience": NaN}',
    "array": b"[]",
    "null": b"null",
}


@pytest.mark.parametrize("case", list(BAD))
@pytest.mark.parametrize("topic", [ANCHORS_WRITE, RECALL_REQUEST, RECALL_RESPONSE])
def test_what_is_no_message_is_kept_with_its_reason_and_the_next_one_is_handled(
    system: System, topic: str, case: str
) -> None:
    with ForeignClient(system.bootstrap, [dead_letter(topic)]) as wire:
        wire.send(topic, BAD[case], key=b"k", partition=0)
        kept = wire.next()
        headers = dict(kept.headers() or [])
        assert (kept.key(), kept.value() or b"") == (b"k", BAD[case])
        assert headers
    check_alive(system, topic)


def wrong_fields() -> list[tuple[str, str, object]]:
    wrong: list[tuple[str, str, object]] = []
    bad_anchor: dict[str, list[object]] = {
        "anchor_id": ["x", None, 5],
        "text": ["", None, "x" * 10_001],
        "stored_at": ["soon", None, "0900-01-01T00:00:00Z"],
        "salience": [0, "1", 99],
        "meta": [[], "m"],
    }
    bad_request: dict[str, list[object]] = {
        "request_id": ["x", 5],
        "query": ["", None, 5],
        "now": ["soon", 5],
        "top_k": [0, 51, "3"],
        "session_id": [5, {}],
        "ignore_anchor_ids": ["x", ["x"]],
    }
    bad_response: dict[str, list[object]] = {
        "request_id": ["x", None],
        "beats": [None, {}, [5], [{**GOOD_BEAT, "activation": "high"}]],
    }
    for topic, fields in (
        (ANCHORS_WRITE, bad_anchor),
        (RECALL_REQUEST, bad_request),
        (RECALL_RESPONSE, bad_response),
    ):
        wrong += [(topic, field, value) for field, values in fields.items() for value in values]
    return wrong


def good(topic: str) -> dict[str, Any]:
    if topic == ANCHORS_WRITE:
        return anchor("good")
    if topic == RECALL_REQUEST:
        return {"request_id": str(uuid.uuid4()), "query": "good"}
    return {"request_id": str(uuid.uuid4()), "beats": [GOOD_BEAT]}


@pytest.mark.parametrize(("topic", "field", "value"), wrong_fields(), ids=lambda v: str(v)[:20])
def test_each_wrong_field_is_kept_with_its_name(
    system: System, topic: str, field: str, value: object
) -> None:
    with ForeignClient(system.bootstrap, [dead_letter(topic), ANCHORS_INDEXED]) as wire:
        wire.send(topic, good(topic) | {field: value}, partition=0)
        messages = [wire.next() for _ in range(2 if topic == ANCHORS_WRITE else 1)]
    kept = next(message for message in messages if message.topic() == dead_letter(topic))
    assert field.encode() in b" ".join(header for _, header in headers_of(kept))
    if topic == ANCHORS_WRITE:
        answer = json.loads(next(m.value() or b"" for m in messages if m.topic() == ANCHORS_INDEXED))
        assert (answer["ok"], answer["reason"]) == (False, "validation_failed")
        assert answer["errors"][0].startswith(field)


def check_alive(system: System, topic: str) -> None:
    answers = {
        ANCHORS_WRITE: ANCHORS_INDEXED,
        RECALL_REQUEST: RECALL_RESPONSE,
        RECALL_RESPONSE: RETELL_RESPONSE,
    }
    body = good(topic)
    field = "anchor_id" if topic == ANCHORS_WRITE else "request_id"
    with ForeignClient(system.bootstrap, [answers[topic]]) as wire:
        wire.send(topic, body, partition=0)
        assert wire.answer(answers[topic], field, body[field])


def test_the_reteller_is_told_the_question_and_its_moment(system: System) -> None:
    word = uuid.uuid4().hex
    filler = "The committee met again and the minutes were read out to everybody present. " * 6
    with ForeignClient(system.bootstrap, ANSWERS) as wire:
        body = anchor(f"{filler}The {word} key hangs in the barn. {filler}", 40)
        assert remember(wire, body)["ok"]
        request_id, now = str(uuid.uuid4()), datetime.now(timezone(timedelta(hours=14)))
        question = f"where is the {word} key?"
        wire.send(
            RECALL_REQUEST, {"request_id": request_id, "query": question, "now": now.isoformat(), "top_k": 1}
        )
        message = wire.record(RECALL_RESPONSE, "request_id", request_id)
        headers = dict(message.headers() or ())
        assert headers["vhm-query"] == question.encode()
        said = headers["vhm-now"]
        assert isinstance(said, bytes)
        assert datetime.fromisoformat(said.decode()) == now
        assert datetime.fromisoformat(said.decode()).utcoffset() == timedelta(hours=14)
        assert "vhm-memories" not in headers
        retold = wire.answer(RETELL_RESPONSE, "request_id", request_id)
        assert f"“… The {word} key hangs in the barn. …”" in retold["retelling"]


def test_a_request_that_cannot_be_read_is_told_as_such(system: System) -> None:
    with ForeignClient(system.bootstrap, ANSWERS) as wire:
        request_id = str(uuid.uuid4())
        wire.send(RECALL_REQUEST, {"request_id": request_id, "query": "", "top_k": 99})
        recalled = wire.answer(RECALL_RESPONSE, "request_id", request_id)
        assert recalled["beats"] == []
        assert "query" in recalled["error"]
        assert "top_k" in recalled["error"]
        told = wire.answer(RETELL_RESPONSE, "request_id", request_id)["retelling"]
        assert told == f"I could not look into my memory: {recalled['error']}."
        # as a published client would, without an error and without our headers
        wire.send(RECALL_RESPONSE, {"request_id": (other := str(uuid.uuid4())), "beats": []})
        assert (
            wire.answer(RETELL_RESPONSE, "request_id", other)["retelling"]
            == "Nothing I remember is about that."
        )
