"""Headers by which the reteller learns what was asked, when, and whether there is any memory."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from vhm.contract.messages import checked_moment

QUERY, NOW, MEMORIES = "vhm-query", "vhm-now", "vhm-memories"
MAX_QUERY_BYTES = 1_000


class Asked(msgspec.Struct, frozen=True):
    """The question of a recall: `question` is "" and `now` None where the headers lack; `now` is aware."""

    question: str = ""
    now: datetime | None = None
    empty: bool = False
    """Whether the owner has no memories at all."""


def encode(asked: Asked) -> tuple[tuple[str, bytes], ...]:
    """The headers; of a long question what fits into 1 kB."""
    query = asked.question.encode("utf-8", "replace")[:MAX_QUERY_BYTES].decode("utf-8", "ignore")
    headers = [(QUERY, query.encode())]
    if asked.now is not None:
        headers.append((NOW, asked.now.isoformat().encode()))
    if asked.empty:
        headers.append((MEMORIES, b"0"))
    return tuple(headers)


def decode(headers: Iterable[tuple[str, bytes | None]]) -> Asked:
    """The decoded headers. An unreadable one counts as absent, because other programs write them too."""
    found = {name: value or b"" for name, value in headers}
    try:
        now = checked_moment(datetime.fromisoformat(found[NOW].decode()))
    except (KeyError, ValueError):
        now = None
    return Asked(found.get(QUERY, b"").decode("utf-8", "replace"), now, found.get(MEMORIES) == b"0")
