"""Names of the record headers that carry what the bodies do not."""

from __future__ import annotations

TRACEPARENT = "traceparent"
"""The trace a record belongs to (W3C)."""

REPLY_TO = "vhm-reply-to"
"""Who waits for the answers, and for which question; theirs to read."""

TELL = "vhm-tell"
"""On a recall-request: `0` asks for no retelling."""

STORED_AT = "vhm-stored-at"
"""On anchors-write: `filled` says that the client only filled stored_at in."""

FILLED = b"filled"

STRICT = "vhm-strict"
"""`1`: unknown fields are refused."""


def is_strict(value: bytes | None) -> bool:
    """Whether a record with that `vhm-strict` header asks for unknown fields to be refused."""
    return value == b"1"


PASSED_ON = (TRACEPARENT, REPLY_TO, TELL)
"""Headers that go from a record to every record it leads to."""
