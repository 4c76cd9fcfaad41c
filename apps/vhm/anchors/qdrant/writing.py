"""Anchors written to the collection of a server."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from vhm.anchors.errors import AnchorRejectedError, StoreUnavailableError
from vhm.anchors.payload import Content, from_payload, same, to_payload
from vhm.anchors.qdrant import sparse
from vhm.anchors.qdrant.asking import Asking
from vhm.anchors.qdrant.client import Connection, Missing, Refused
from vhm.anchors.qdrant.collection import Collection
from vhm.anchors.qdrant.wire import NewPoint
from vhm.anchors.types import Model, Stored, Vector, Vectors
from vhm.contract.messages import Anchor


class Writing:
    """To one collection, for one model."""

    def __init__(self, connection: Connection, collection: Collection, asking: Asking, model: Model) -> None:
        self.written = 0
        """Anchors added so far."""
        self._connection = connection
        self._collection = collection
        self._asking = asking
        self._model = model

    async def add(self, anchors: Sequence[Anchor], vectors: Vectors) -> list[Stored]:
        """See `AnchorStore.add`."""
        if not anchors:
            return []
        await self._collection.settle_if_unusable()
        self._collection.to_write()
        first = {anchor.anchor_id: index for index, anchor in reversed(list(enumerate(anchors)))}
        held = await self._asking.held(list(first), payload=True)
        new = [index for anchor_id, index in first.items() if anchor_id not in held]
        written = held
        if new:
            await self._insert([(anchors[index], vectors[index]) for index in new])
            self.written += len(new)
            written = await self._asking.held(list(first), payload=True)
        if lost := first.keys() - written.keys():
            raise StoreUnavailableError(
                f"{self._connection.where}: {len(lost)} anchors just written to "
                f"{self._collection.to_read()!r} are not there, somebody emptied it meanwhile"
            )
        return [
            _outcome(anchor, written, fresh=anchor.anchor_id not in held and first[anchor.anchor_id] == index)
            for index, anchor in enumerate(anchors)
        ]

    async def _insert(self, new: Sequence[tuple[Anchor, Vector]]) -> None:
        try:
            await self._upsert(new)
        except (Missing, Refused):  # others may have made the collection anew since it was last looked at
            await self._collection.settle()
            try:
                await self._upsert(new)
            except Refused as error:
                raise AnchorRejectedError(str(error)) from error

    async def _upsert(self, new: Sequence[tuple[Anchor, Vector]]) -> None:
        name = self._collection.to_write()
        await self._connection.insert(name, [self._point(anchor, vector) for anchor, vector in new])

    def _point(self, anchor: Anchor, vector: Vector) -> NewPoint:
        """With hybrid recall off a plain vector, as published tools take it for granted."""
        dense: list[float] = vector.tolist()
        payload = to_payload(anchor, self._model.name)
        if not self._collection.words:
            return NewPoint(str(anchor.anchor_id), dense, payload)
        words = sparse.of_anchor(Content(anchor.text, anchor.stored_at, anchor.salience, anchor.meta))
        named = {"": dense, sparse.WORDS: {"indices": words.indices, "values": words.values}}
        return NewPoint(str(anchor.anchor_id), named, payload)


def _outcome(anchor: Anchor, held: Mapping[uuid.UUID, dict[str, Any]], *, fresh: bool) -> Stored:
    if not same(anchor, from_payload(held.get(anchor.anchor_id))):
        return Stored.DIFFERENT
    return Stored.NEW if fresh else Stored.SAME
