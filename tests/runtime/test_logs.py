"""The fields that name a record in a log line."""

from __future__ import annotations

import uuid
from typing import Any

from vhm.runtime.handler import Record
from vhm.runtime.logs import record_fields


def test_a_record_is_named_by_the_id_in_its_value_else_by_its_key() -> None:
    def id_of(topic: str, value: bytes | None, key: bytes | None) -> Any:
        record = Record(topic=topic, partition=2, offset=5, timestamp=0, value=value, key=key)
        return {k: v for k, v in record_fields(record).items() if k.endswith("_id")}

    one = str(uuid.uuid4())
    assert id_of("anchors-write", b'{"anchor_id": "%s", "x": 1}' % one.encode(), b"k") == {"anchor_id": one}
    assert id_of("recall-request", b"not json", b"k") == {"request_id": "k"}
    assert id_of("recall-request", b'{"request_id": 7}', None) == {}
    assert id_of("recall-request", b"\xff", b"\xff\x00") == {}
    assert id_of("recall-request", b"[" * 100_000, None) == {}
    assert id_of("elsewhere", b"{}", b"k") == {}
    assert record_fields(Record(topic="t", partition=2, offset=5, timestamp=0, value=None)) == {
        "topic": "t",
        "partition": 2,
        "offset": 5,
    }
