"""Messages: what is accepted, and that a refusal names every fault."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vhm.contract.messages import (
    MAX_DEPTH,
    Anchor,
    AnchorIndexed,
    AnchorsForget,
    Beat,
    InvalidMessageError,
    RecallRequest,
    RecallResponse,
    RetellResponse,
    decode,
    decode_noting_unknown,
    derived_request_id,
    encode,
)

ID = "f0eaeb6f-a1a6-42a6-8a0f-47e5b66ea0aa"
ANCHOR: dict[str, Any] = {"anchor_id": ID, "text": "Tea with Mara", "stored_at": "2026-01-02T03:04:05Z"}
REQUEST: dict[str, Any] = {"query": "tea"}
BEAT: dict[str, Any] = {"anchor_id": ID, "text": "Tea", "perceived_age": "just now", "activation": 0.9}
RESPONSE: dict[str, Any] = {"request_id": ID, "beats": [BEAT]}


def errors_of(kind: type, body: Any) -> list[str]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(InvalidMessageError) as caught:
        decode(kind, data)
    return caught.value.errors


def test_an_anchor_needs_only_what_has_no_default() -> None:
    anchor = decode(Anchor, json.dumps(ANCHOR).encode())
    assert anchor == Anchor(
        anchor_id=UUID(ID), text="Tea with Mara", stored_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    )
    assert (anchor.salience, anchor.meta, anchor.session) == (1.0, {}, None)


def test_null_means_absent_and_unknown_fields_are_ignored() -> None:
    nulls = {"salience": None, "meta": None, "mood": "good"}
    assert decode(Anchor, json.dumps(ANCHOR | nulls).encode()).salience == 1.0
    optional = dict.fromkeys(("request_id", "now", "top_k", "session_id", "ignore_anchor_ids"))
    request = decode(RecallRequest, json.dumps(REQUEST | optional).encode())
    assert request == RecallRequest(query="tea")


@pytest.mark.parametrize(
    ("text", "offset"),
    [("2026-05-01T12:00:00", 0), ("2026-05-01T12:00:00+05:30", 5.5), ("2026-05-01T12:00:00z", 0)],
)
def test_a_date_without_an_offset_is_utc_and_an_offset_is_kept(text: str, offset: float) -> None:
    stored_at = decode(Anchor, json.dumps(ANCHOR | {"stored_at": text}).encode()).stored_at
    assert stored_at == datetime(2026, 5, 1, 12, tzinfo=timezone(timedelta(hours=offset)))
    assert stored_at.utcoffset() == timedelta(hours=offset)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("anchor_id", "not-a-uuid"),
        ("anchor_id", None),
        ("anchor_id", 7),
        ("text", ""),
        ("text", "x" * 10_001),
        ("text", ["a"]),
        ("stored_at", "yesterday"),
        ("stored_at", 1_700_000_000),
        ("stored_at", "1899-12-31T23:59:59Z"),
        ("stored_at", "2201-01-01T00:00:00Z"),
        ("salience", 0.29),
        ("salience", 2.51),
        ("salience", "nan"),
        ("salience", True),
        ("meta", []),
        ("meta", "session"),
    ],
)
def test_each_wrong_field_of_an_anchor_is_named(field: str, value: object) -> None:
    (error,) = errors_of(Anchor, ANCHOR | {field: value})
    assert error.startswith(f"{field}: ")


@pytest.mark.parametrize(
    ("field", "value", "where"),
    [
        ("request_id", "x", "request_id"),
        ("query", "", "query"),
        ("query", None, "query"),
        ("now", "soon", "now"),
        ("top_k", 0, "top_k"),
        ("top_k", 51, "top_k"),
        ("top_k", 2.5, "top_k"),
        ("session_id", 4, "session_id"),
        ("ignore_anchor_ids", [ID, "x"], "ignore_anchor_ids[1]"),
    ],
)
def test_each_wrong_field_of_a_request_is_named(field: str, value: object, where: str) -> None:
    (error,) = errors_of(RecallRequest, REQUEST | {field: value})
    assert error.startswith(f"{where}: ")


@pytest.mark.parametrize("field", list(BEAT))
@pytest.mark.parametrize("value", [None, [], {}])
def test_each_wrong_field_of_a_beat_is_named(field: str, value: object) -> None:
    (error,) = errors_of(RecallResponse, RESPONSE | {"beats": [BEAT, BEAT | {field: value}]})
    assert error.startswith(f"beats[1].{field}: ")


def test_all_faults_come_at_once_with_the_id() -> None:
    body = ANCHOR | {"text": "", "salience": 9, "stored_at": "never"}
    with pytest.raises(InvalidMessageError) as caught:
        decode(Anchor, json.dumps(body).encode())
    assert [e.split(":")[0] for e in caught.value.errors] == ["text", "stored_at", "salience"]
    assert caught.value.id == UUID(ID)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"tea",
        b"[]",
        b"7",
        b"null",
        b'{"anchor_id": "\xff"}',
        b"\xff\xfe",
        b'{"salience": NaN}',
        b"[" * 100_000,
        b'{"a":' * 5_000,
        b"x" * 1_000_000,
    ],
    ids=[
        "empty",
        "no json",
        "array",
        "number",
        "null",
        "not utf-8",
        "bom",
        "nan",
        "deep",
        "deep objects",
        "1 MB",
    ],
)
def test_what_is_no_message_at_all_is_one_short_line(body: bytes) -> None:
    (error,) = errors_of(Anchor, body)
    assert error.startswith("message: ")
    assert len(error) < 200


def test_meta_may_be_nested_but_not_without_end() -> None:
    def nested(levels: int) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for _ in range(levels):
            value = {"a": value}
        return value

    assert decode(Anchor, json.dumps(ANCHOR | {"meta": nested(MAX_DEPTH - 2)}).encode())
    (error,) = errors_of(Anchor, ANCHOR | {"meta": nested(MAX_DEPTH)})
    assert error == f"meta: nested deeper than {MAX_DEPTH} levels"


@given(st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
def test_any_bytes_decode_or_are_refused(data: bytes) -> None:
    for kind in (Anchor, RecallRequest, RecallResponse):
        try:
            decode(kind, data)
        except InvalidMessageError as refusal:
            if not refusal.errors:
                raise AssertionError("refused without a reason") from refusal


def test_answers_leave_out_what_does_not_apply() -> None:
    assert json.loads(encode(AnchorIndexed(anchor_id=UUID(ID), ok=True))) == {"anchor_id": ID, "ok": True}
    assert json.loads(encode(RetellResponse(request_id=UUID(ID), retelling="I had tea."))) == {
        "request_id": ID,
        "retelling": "I had tea.",
    }
    assert json.loads(encode(decode(RecallResponse, json.dumps(RESPONSE).encode()))) == RESPONSE


def test_a_request_without_id_gets_the_same_one_each_time() -> None:
    assert derived_request_id("recall-request", 1, 7) == derived_request_id("recall-request", 1, 7)
    assert derived_request_id("recall-request", 1, 7) != derived_request_id("recall-request", 1, 8)


def test_unknown_fields_are_noted_and_with_strict_refused_with_the_nearest_name() -> None:
    body = json.dumps(ANCHOR | {"ownr": "sam", "mood": "good"}).encode()
    anchor, unknown = decode_noting_unknown(Anchor, body)
    assert (anchor.owner, unknown) == ("", ("ownr", "mood"))
    assert decode_noting_unknown(Anchor, json.dumps(ANCHOR).encode())[1] == ()
    with pytest.raises(InvalidMessageError) as caught:
        decode(Anchor, body, strict=True)
    assert caught.value.errors == ["ownr: unknown field, did you mean owner?", "mood: unknown field"]
    assert caught.value.id == UUID(ID)


@pytest.mark.parametrize("owner", ["", "sam", "a.b@c|d~e+f-g_1", "x" * 200])
def test_an_owner_is_empty_or_a_name(owner: str) -> None:
    assert decode(Anchor, json.dumps(ANCHOR | {"owner": owner}).encode()).owner == owner


@pytest.mark.parametrize("owner", [" ", "-a", "a b", "x" * 201, "a\n", "å", 7])
def test_other_owners_are_refused(owner: object) -> None:
    assert errors_of(Anchor, ANCHOR | {"owner": owner})[0].startswith("owner: ")


def test_what_contradicts_itself_is_refused() -> None:
    assert errors_of(Anchor, ANCHOR | {"expires_at": ANCHOR["stored_at"]}) == [
        "expires_at: not after stored_at"
    ]
    assert errors_of(Anchor, ANCHOR | {"supersedes": [ID]}) == ["supersedes: names the anchor itself"]
    period = {"since": "2026-02-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"}
    assert errors_of(RecallRequest, REQUEST | period) == ["until: not after since"]


@pytest.mark.parametrize(
    ("bounds", "error"),
    [
        ({}, "message: expected exactly one of anchor_ids, session, before, everything, got none"),
        ({"everything": True, "session": "s"}, "got session and everything"),
        ({"everything": False}, "everything: "),
        ({"everything": 1}, "everything: "),
        ({"anchor_ids": []}, "anchor_ids: "),
        ({"session": ""}, "session: "),
        ({"befor": "2026-01-01T00:00:00Z"}, "befor: unknown field, did you mean before?"),
        ({"user_id": "sam", "everything": True}, "user_id: unknown field"),
    ],
)
def test_a_slip_in_a_forget_is_refused(bounds: dict[str, Any], error: str) -> None:
    assert error in "; ".join(errors_of(AnchorsForget, {"owner": "sam"} | bounds))


@pytest.mark.parametrize("owner", [{}, {"owner": None}])
def test_a_forget_says_whose(owner: dict[str, Any]) -> None:
    assert "owner: required" in errors_of(AnchorsForget, owner | {"everything": True})[0]


def test_an_answer_says_nothing_of_what_it_does_not_use() -> None:
    beat = Beat(anchor_id=UUID(ID), text="Tea", perceived_age="just now", activation=0.9)
    answer = json.loads(encode(RecallResponse(request_id=UUID(ID), beats=[beat])))
    assert answer == RESPONSE
