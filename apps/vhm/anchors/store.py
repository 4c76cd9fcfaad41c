"""What a store of anchors promises, and how to open the one behind QDRANT_URL."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from vhm.anchors.lifecycle import Delivery, Tombstone
from vhm.anchors.listing import AnchorReader
from vhm.anchors.payload import Row
from vhm.anchors.scope import Scope
from vhm.anchors.types import Model, Query, Ranking, Vectors, WriteOutcome
from vhm.contract.messages import Anchor
from vhm.contract.settings import EmbeddingSettings, StoreSettings

if TYPE_CHECKING:
    from vhm.anchors.local.store import LocalStore
    from vhm.anchors.qdrant.store import QdrantStore


class AnchorStore(Protocol):
    """Anchors and their embeddings in one collection, filled by one model.

    Calls may overlap. Each raises StoreUnavailableError while the store cannot be used; the same call may
    succeed later, and is safe to repeat. What was stored never changes, and goes when it is forgotten or has
    expired.
    """

    async def add(
        self, anchors: Sequence[Anchor], vectors: Vectors, deliveries: Sequence[Delivery] | None = None
    ) -> list[WriteOutcome]:
        """Store each anchor whose id is free and that was not forgotten; what became of each, in order.

        `vectors` is (n, size), of unit length. `deliveries` tells how each came, if that is known. Once this
        returned, the anchors are found by recall, those they supersede from their moment on no more, and the
        sparse vectors around them are as if all turns of their sessions had come in order. After
        StoreUnavailableError some may be stored. Raises AnchorRejectedError where the store will never take
        one of them.
        """
        ...

    async def forget(self, tombstones: Sequence[Tombstone]) -> int:
        """Forget for good what these concern, also where it is written later; how many anchors are gone.
        Once this returned, no recall finds them, nor their words in their neighbours' vectors."""
        ...

    async def remove_expired(self) -> int:
        """Remove what has expired; how many anchors."""
        ...

    async def recall(self, queries: Sequence[Query]) -> list[Ranking]:
        """For each query the `limit` anchors of highest activation in its scope, strongest first."""
        ...

    async def count(self, scope: Scope) -> int:
        """How many anchors an owner has."""
        ...

    async def known(self, anchors: Sequence[Row]) -> set[str]:
        """The ids of their points that are there, whatever those hold."""
        ...

    def not_ready(self) -> list[str]:
        """Why the store cannot be used now, one line each. Answers at once."""
        ...

    async def close(self) -> None:
        """Let go of it. Background work ends first."""
        ...


async def open_store(
    settings: EmbeddingSettings, model: Model, *, maintain: bool = False, copy_of: str | None = None
) -> AnchorStore:
    """Open the collection that the settings name, or the one that took its place when it was re-embedded;
    make it where there is none. `model` must know its size by now.

    HYBRID_RECALL=true: words count beside meaning; all workers on a collection must agree. `maintain`: bring
    sparse vectors of an older shape up to date and remove what has expired, in the background. `copy_of`: the
    collection that this one is a copy of; what was forgotten there is forgotten here. Raises
    StoreUnavailableError, StoreMismatchError.
    """
    store: LocalStore | QdrantStore
    if settings.qdrant_url.startswith("local:"):
        from vhm.anchors.local.store import LocalStore

        store = LocalStore(settings, model, copy_of=copy_of)
    else:
        # the client takes 0.5 s to import, and only workers that store anchors need it
        qdrant = await asyncio.to_thread(importlib.import_module, "vhm.anchors.qdrant.store")
        store = qdrant.QdrantStore(settings, model, copy_of=copy_of)
    try:
        await store.open(maintain=maintain)
    except BaseException:
        await store.close()
        raise
    return store


def open_reader(settings: StoreSettings) -> AnchorReader:
    """Read the collection that the settings name, on a server; an embedded store is read by its own process,
    for which `LocalStore` is a reader as well. Takes half a second the first time: the client's import."""
    from vhm.anchors.qdrant.reader import QdrantReader

    return QdrantReader(settings)
