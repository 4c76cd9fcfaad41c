"""The one face of the store, whatever is behind QDRANT_URL."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from vhm.anchors.errors import StoreUnavailableError
from vhm.anchors.types import Explained, Model, Query, Recalled, Stored, Summary, Vectors
from vhm.contract.messages import Anchor
from vhm.contract.settings import EmbeddingSettings

if TYPE_CHECKING:
    from vhm.anchors.local.store import Embedded
    from vhm.anchors.qdrant.store import Server


class AnchorStore:
    """Anchors and their embeddings in the collection that the settings name, filled by `model`.

    Calls may overlap. Every one raises StoreUnavailableError while the store cannot be used, `open` first.
    """

    def __init__(
        self, settings: EmbeddingSettings, model: Model, *, hybrid: bool = False, follow: bool = True
    ) -> None:
        """`hybrid`: similarity is of words as well as of meaning; all workers on a collection must agree.
        `follow`: use the collection that took this one's place when it was re-embedded, if any."""
        self._hybrid = hybrid
        self._follow = follow
        self._settings = settings
        self._model = model
        self._opened: Server | Embedded | None = None

    async def open(self) -> None:
        """Connect, and find or make the collection. `model` must know its size by now. Raises
        StoreUnavailableError, StoreMismatchError; may be called again then."""
        backend = await asyncio.to_thread(_behind, self._settings, self._model, self._hybrid, self._follow)
        try:
            await backend.open()
        except BaseException:
            await backend.close()
            raise
        self._opened = backend

    async def add(self, anchors: Sequence[Anchor], vectors: Vectors) -> list[Stored]:
        """Store each anchor that is not there yet; what became of each, in order. `vectors` is (n, size).
        What is there never changes. Raises StoreUnavailableError (some may be stored already: call again), or
        AnchorRejectedError where the store refuses one of them for good."""
        return await self._backend.add(anchors, vectors)

    async def known(self, anchor_ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
        """Those of the ids that are taken."""
        return await self._backend.known(anchor_ids)

    async def recall(self, queries: Sequence[Query]) -> list[list[Recalled]]:
        """For each query at most `limit` anchors, strongest first, out of the whole store."""
        return await self._backend.recall(queries)

    async def explain(self, query: Query, count: int) -> list[Explained]:
        """The `count` strongest candidates, beats or not, and why the others were left out."""
        return await self._backend.explain(query, count)

    async def summary(self, now: datetime, session_id: str | None) -> Summary:
        """How many anchors there are, and how many of them this recall could not see."""
        return await self._backend.summary(now, session_id)

    async def not_ready(self) -> list[str]:
        """Why the store cannot be used now, one line each. Answers at once: a watcher looks every 0.4 s."""
        return self._opened.not_ready() if self._opened else ["the store is not open yet"]

    async def close(self) -> None:
        """Let go of it; may be called at any time."""
        backend, self._opened = self._opened, None
        if backend is not None:
            await backend.close()

    @property
    def _backend(self) -> Server | Embedded:
        if self._opened is None:
            raise StoreUnavailableError("the store is not open yet")
        return self._opened


def _behind(settings: EmbeddingSettings, model: Model, hybrid: bool, follow: bool) -> Server | Embedded:
    # the client takes 0.5 s to import, and only workers that store anchors need it
    if settings.qdrant_url.startswith("local:"):
        from vhm.anchors.local.store import Embedded

        return Embedded(settings.qdrant_url, settings.qdrant_collection, model, follow=follow, hybrid=hybrid)
    from vhm.anchors.qdrant.client import Connection
    from vhm.anchors.qdrant.store import Server

    connection = Connection(settings.qdrant_url, settings.qdrant_api_key)
    return Server(connection, settings.qdrant_collection, model, follow=follow, hybrid=hybrid)
