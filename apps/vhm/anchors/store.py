"""What a store of anchors promises, and how to open the one behind QDRANT_URL."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from vhm.anchors.scope import Scope
from vhm.anchors.types import Model, Query, Ranking, Vectors, WriteOutcome
from vhm.contract.messages import Anchor
from vhm.contract.settings import EmbeddingSettings

if TYPE_CHECKING:
    from vhm.anchors.qdrant.store import QdrantStore


class AnchorStore(Protocol):
    """Anchors and their embeddings in one collection, filled by one model.

    Calls may overlap. Each raises StoreUnavailableError while the store cannot be used; the same call may
    succeed later, and is safe to repeat. Nothing that was stored ever changes or goes.
    """

    async def add(self, anchors: Sequence[Anchor], vectors: Vectors) -> list[WriteOutcome]:
        """Store each anchor whose id is free; what became of each, in order.

        `vectors` is (n, size), of unit length. Once this returned, the anchors are found by recall, and the
        sparse vectors around them are as if all turns of their sessions had come in order. After
        StoreUnavailableError some may be stored. Raises AnchorRejectedError where the store will never take
        one of them.
        """
        ...

    async def recall(self, queries: Sequence[Query]) -> list[Ranking]:
        """For each query the `limit` anchors of highest activation in its scope, strongest first."""
        ...

    async def count(self, scope: Scope) -> int:
        """How many anchors an owner has."""
        ...

    async def known(self, anchors: Sequence[Anchor]) -> set[uuid.UUID]:
        """The ids of those whose point is there, whatever it holds."""
        ...

    def not_ready(self) -> list[str]:
        """Why the store cannot be used now, one line each. Answers at once."""
        ...

    async def close(self) -> None:
        """Let go of it. Background work ends first."""
        ...


async def open_store(
    settings: EmbeddingSettings,
    model: Model,
    *,
    maintain: bool = False,
    follow: bool = True,
) -> AnchorStore:
    """Open the collection that the settings name, or make it. `model` must know its size by now.

    HYBRID_RECALL=true: words count beside meaning; all workers on a collection must agree. `maintain`: bring
    sparse vectors of an older shape up to date in the background. `follow`: use the collection that took this
    one's place when it was re-embedded, if any. Raises StoreUnavailableError, StoreMismatchError.
    """
    url, name = settings.qdrant_url, settings.qdrant_collection
    if url.startswith("local:"):
        from vhm.anchors.local.store import LocalStore

        return await LocalStore.open(url, name, model, hybrid=settings.hybrid_recall, follow=follow)
    # the client takes 0.5 s to import, and only workers that store anchors need it
    backend = await asyncio.to_thread(_qdrant_store)
    return await backend.open(settings, model, maintain=maintain, follow=follow)


def _qdrant_store() -> type[QdrantStore]:
    from vhm.anchors.qdrant.store import QdrantStore

    return QdrantStore
