"""The bodies of the gateway's requests and responses."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from vhm.contract.explain import MAX_CANDIDATES, Explanation
from vhm.contract.messages import Anchor, Beat, Message, MinAge, RecallRequest, Where

BEATS = 5
"""Beats that are asked for by default: three hold .60 of the answers, five .68."""


NO_OWNER = "-"
"""Stands for the owner "" in a path and in GATEWAY_KEYS."""


class NewMemory(Message, frozen=True, kw_only=True):
    """A memory to store. `session` and `speaker` are `meta.session` and `meta.speaker`; without an
    anchor_id it is given one, without stored_at it is of now."""

    text: Annotated[str, Meta(min_length=1, max_length=10_000, examples=["I am vegetarian"])]
    anchor_id: uuid.UUID | None = None
    stored_at: datetime | None = None
    salience: Annotated[float, Meta(ge=0.3, le=2.5)] = 1.0
    session: str | None = None
    speaker: str | None = None
    meta: dict[str, Any] = msgspec.field(default_factory=dict)
    supersedes: Annotated[list[uuid.UUID], Meta(max_length=64)] = msgspec.field(default_factory=list)
    expires_at: datetime | None = None


class RecallQuestion(Message, frozen=True, kw_only=True):
    """What to recall, as in recall-request, with its story if `tell`, and `explain` candidates."""

    query: Annotated[str, Meta(min_length=1, max_length=100_000, examples=["am I vegetarian?"])]
    top_k: Annotated[int, Meta(ge=1, le=50)] = BEATS
    now: datetime | None = None
    session_id: str | None = None
    ignore_anchor_ids: Annotated[list[uuid.UUID], Meta(max_length=1_000)] = msgspec.field(
        default_factory=list
    )
    at_least: Annotated[float, Meta(ge=0, le=1)] | None = None
    since: datetime | None = None
    until: datetime | None = None
    where: Where = msgspec.field(default_factory=dict)
    min_age_seconds: MinAge = 0.0
    tell: bool = True
    explain: Annotated[int, Meta(ge=0, le=MAX_CANDIDATES)] = 0

    @classmethod
    def of(cls, request: RecallRequest, *, tell: bool, explain: int) -> RecallQuestion:
        """The question of a recall-request, without its owner."""
        return cls(tell=tell, explain=explain, **{name: getattr(request, name) for name in _shared()})

    def request(self, owner: str) -> RecallRequest:
        """The recall-request of this question; its moment is the present unless the question names one."""
        fields = {name: getattr(self, name) for name in _shared()}
        return RecallRequest(**fields | {"owner": owner, "now": self.now or datetime.now(UTC)})


def _shared() -> set[str]:
    return set(RecallQuestion.__struct_fields__) & set(RecallRequest.__struct_fields__)


class Recalled(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to a question: beats, strongest first, and what else was asked for."""

    request_id: uuid.UUID
    beats: list[Beat]
    story: str | None = None
    explanation: Explanation | None = None


class MemoryReceipt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The outcome of one memory: `ok` is absent while it has only been accepted."""

    anchor_id: uuid.UUID
    ok: bool | None = None
    faults: list[str] = []


class Receipts(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt for each memory of the request, in its order."""

    receipts: list[MemoryReceipt]


class StoredAnchor(Anchor, frozen=True, kw_only=True):
    """An anchor as the store has it: `superseded_by` is the one that takes its place in recalls."""

    superseded_by: uuid.UUID | None = None

    @property
    def anchor(self) -> Anchor:
        """The anchor alone, as it was written."""
        return Anchor(**{name: getattr(self, name) for name in Anchor.__struct_fields__})


class Memories(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Memories, newest first, and the cursor of those that follow, if any do."""

    memories: list[StoredAnchor]
    next: str | None = None


class Owners(msgspec.Struct, frozen=True, kw_only=True):
    """The owners that have memories, by name."""

    owners: list[str]


class Forgotten(msgspec.Struct, frozen=True, kw_only=True):
    """How many memories are gone."""

    forgotten: int


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a request failed (RFC 9457), with every fault. `ids`: memories that were accepted all the same."""

    title: str
    status: int
    detail: str = ""
    faults: list[str] = []
    ids: list[uuid.UUID] = []
