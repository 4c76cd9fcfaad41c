"""How the verbs reach a system: over Kafka, over HTTP, or within this process."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

import msgspec

from vhm.client.results import Receipt, Recollection
from vhm.contract.messages import Anchor, AnchorsForget, RecallRequest
from vhm.contract.rest import Memories, StoredAnchor

ANSWER_SECONDS = 60.0
"""Longest wait for an answer, unless the caller says otherwise."""

PAGE_SIZE = 100

CLOSE_SECONDS = 30.0
"""Longest wait of `close` for memories that were handed over."""


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """Which memories of `owner` to read, newest first: said from `since` on and before `until`, with
    `where` of their meta; those after `cursor`, at most `limit`."""

    owner: str = ""
    since: datetime | None = None
    until: datetime | None = None
    where: Mapping[str, str | int | bool] = msgspec.field(default_factory=dict)
    text: str = ""
    """What stands in the text, letter for letter."""
    cursor: str | None = None
    limit: int = PAGE_SIZE


class Pending(Protocol):
    """A memory that has been handed over."""

    @property
    def anchor_id(self) -> uuid.UUID:
        """Its id, known from the start."""
        ...

    async def accepted(self) -> None:
        """Return when it cannot be lost any more. Raises Unavailable, or Refused."""
        ...

    async def wait(self, seconds: float = ANSWER_SECONDS) -> Receipt:
        """Return when it is stored. Raises Refused or Unavailable."""
        ...


class Reader(Protocol):
    """Reading what is stored, without asking a question. Raises Unavailable."""

    async def get(self, owner: str, anchor_id: uuid.UUID) -> StoredAnchor | None:
        """The memory of that id, if `owner` has it."""
        ...

    async def page(self, listing: Listing) -> Memories:
        """Memories, newest first. Raises Refused for a cursor that is none."""
        ...

    async def owners(self) -> list[str]:
        """Who has memories, by name; up to 1 000."""
        ...


class Transport(Reader, Protocol):
    """One connection. Every verb raises Unavailable when the system cannot be reached, and Refused when it
    will not do what was asked. May be used by many tasks of one event loop at once."""

    async def open(self) -> None:
        """Connect. Called once, before anything else."""
        ...

    async def remember(self, anchor: Anchor, *, filled: bool) -> Pending:
        """Hand a memory over; waits only for room, ANSWER_SECONDS from one answer to the next at most.
        `filled`: its stored_at was filled in for the caller."""
        ...

    async def recall(
        self, request: RecallRequest, *, tell: bool, explain: int, seconds: float
    ) -> Recollection:
        """The answer to a question, with its story if `tell`, and `explain` candidates."""
        ...

    async def forget(self, request: AnchorsForget, *, seconds: float) -> int:
        """Forget, and say how many memories are gone."""
        ...

    async def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Wait up to `seconds` for what was handed over, then let go of threads and sockets."""
        ...
