"""An owner's part of a store."""

from __future__ import annotations

import functools
import uuid

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


@functools.lru_cache(maxsize=10_000)
def _point_id(owner: str, anchor_id: uuid.UUID) -> uuid.UUID:
    return uuid.uuid5(uuid.uuid5(uuid.NAMESPACE_OID, owner), str(anchor_id))
