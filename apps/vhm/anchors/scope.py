"""An owner's part of a store."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Iterable

import msgspec


class Scope(msgspec.Struct, frozen=True):
    """The memories of one owner; the owner "" is one like any other, never everybody.

    Every query and count of memories is made from a scope, so that nothing crosses owners: candidates,
    neighbours, duplicates, the rarity of words, counts.
    """

    owner: str

    def point_id(self, anchor_id: uuid.UUID) -> uuid.UUID:
        """The id of an anchor's point. Other programs know those of the owner "" by their anchor ids; what
        others call their anchors can neither collide with those nor be guessed at."""
        return _point_id(self.owner, anchor_id) if self.owner else anchor_id


def by_scope(anchors: Iterable[tuple[str, uuid.UUID]]) -> dict[Scope, list[uuid.UUID]]:
    """The ids of anchors, each given with its owner, in their scopes."""
    found: dict[Scope, list[uuid.UUID]] = {}
    for owner, anchor_id in anchors:
        found.setdefault(Scope(owner), []).append(anchor_id)
    return found


@functools.lru_cache(maxsize=10_000)
def _point_id(owner: str, anchor_id: uuid.UUID) -> uuid.UUID:
    return uuid.uuid5(uuid.uuid5(uuid.NAMESPACE_OID, owner), str(anchor_id))
