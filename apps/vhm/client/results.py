"""The results of the verbs of `Memory`."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import msgspec

from vhm.contract.explain import Candidate, Explanation
from vhm.contract.messages import Beat


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """A memory is stored under this id, and recalled from now on."""

    anchor_id: uuid.UUID
    owner: str = ""


class Recollection(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one question: beats, strongest first, over which it iterates.

    `story` is their retelling, None where none was asked for; `explanation` says why they came, where that
    was asked for."""

    request_id: uuid.UUID
    beats: list[Beat]
    owner: str = ""
    story: str | None = None
    explanation: Explanation | None = None

    def __iter__(self) -> Iterator[Beat]:
        return iter(self.beats)

    def __len__(self) -> int:
        return len(self.beats)

    @property
    def candidates(self) -> list[Candidate]:
        """The scored candidates, strongest first; empty unless `explain` was given."""
        return self.explanation.candidates if self.explanation else []
