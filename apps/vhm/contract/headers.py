"""Names of the record headers that carry what the bodies do not."""

from __future__ import annotations

TRACEPARENT = "traceparent"
"""The trace a record belongs to (W3C)."""

REPLY_TO = "vhm-reply-to"
"""The client and the exchange that an answer belongs to; opaque to the workers."""

TELL = "vhm-tell"
"""On a recall-request: `0` asks for no retelling."""

STORED_AT = "vhm-stored-at"
"""On anchors-write: `filled` where the client library, not its caller, set stored_at."""

FILLED = b"filled"

STRICT = "vhm-strict"
"""`1`: unknown fields are refused."""


def is_strict(value: bytes | None) -> bool:
    """Whether a record with that `vhm-strict` header asks for unknown fields to be refused."""
    return value == b"1"


PASSED_ON = (TRACEPARENT, REPLY_TO, TELL)
"""Headers copied from a consumed record to every record produced for it."""
