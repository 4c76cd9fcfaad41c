"""Re-embed a collection for another model, while the workers go on.

Everything is copied into NAME@MODEL, and what was written meanwhile with it, pass by pass. Then the old
collection's metadata names the new one: workers of the new model open that; those of the old one go on
recalling but write no more, so that anchors wait in Kafka for the new ones. A last pass, once every write
under way has ended, takes what slipped in. Nothing is deleted, and what was copied before an interruption
is not embedded again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Protocol

import msgspec
import numpy as np

from vhm.anchors.compatibility import CURRENT_KEY, CollectionInfo, target_name
from vhm.anchors.errors import AnchorRejectedError, StoreUnavailableError
from vhm.anchors.lifecycle import Delivery
from vhm.anchors.payload import MODEL_KEY, Row, to_anchor
from vhm.anchors.store import AnchorStore, open_store
from vhm.contract.settings import EmbeddingSettings
from vhm.embedding import Embedder, EmbeddingFailedError

PAGE = 64
"""Anchors embedded and stored at once."""

SAMPLE = 32
ALIKE = 0.98
ALIKE_SHARE = 0.9
"""Of a collection that does not say which model made it, so many are embedded to compare; it is this
model's if nine in ten have that cosine with what is stored (builds of a model differ a little)."""

SETTLING_SECONDS = 6.0
"""How long after the switch a worker may still write to the old collection: it notices within a second,
and a write under way ends within the client's timeout of 5 s. An embedded store is told at once."""

PASSES = 10
"""Passes before the switch, at most: each is shorter than the one before unless writes are as fast."""

SOURCE_KEY = "vhm_source"
"""Metadata of a copy: the collection it was made from, to take up an interrupted reindex."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a reindex is: anchors looked at of those there are, and what it is doing."""

    done: int
    total: int
    step: str


class Reindexed(msgspec.Struct, frozen=True, kw_only=True):
    """What a reindex did. `adopted`: the collection's vectors are this model's, so it only says so now.
    `copied` were embedded now, `refused` are anchors that the model or the store will not take."""

    source: str
    target: str
    adopted: bool = False
    copied: int = 0
    refused: tuple[str, ...] = ()


class CollectionAccess(Protocol):
    """Collections as a reindex sees them. Every method raises StoreUnavailableError."""

    async def info(self, name: str, model: str) -> CollectionInfo | None:
        """What the collection is; None where there is none."""
        ...

    async def describe(self, name: str, metadata: dict[str, Any]) -> None:
        """Add to its metadata."""
        ...

    def pages(self, name: str, count: int, *, vectors: bool = False) -> AsyncIterator[list[Row]]:
        """All anchors, up to `count` at a time."""
        ...

    async def close(self) -> None:
        """Let go."""
        ...


async def reindex(
    settings: EmbeddingSettings,
    embedder: Embedder,
    report: Callable[[Progress], None] = lambda progress: None,  # noqa: ARG005 - nobody listens
    *,
    settling_seconds: float | None = None,
) -> Reindexed:
    """Make the settings' collection one of `embedder`, which is open. Raises StoreUnavailableError and
    EmbeddingUnavailableError; called again then, it goes on where it was."""
    if settling_seconds is None:
        settling_seconds = 0.0 if settings.qdrant_url.startswith("local:") else SETTLING_SECONDS
    collections = await asyncio.to_thread(_collections_of, settings)
    try:
        base = await collections.info(settings.qdrant_collection, embedder.name)
        if base is None:
            raise StoreUnavailableError(f"there is no collection {settings.qdrant_collection!r} to re-embed")
        source, target = await _ends(collections, base, embedder)
        if source is None:
            return Reindexed(source=target, target=target)
        if await _made_by(embedder, collections, source):
            await collections.describe(source.name, {MODEL_KEY: embedder.name})
            return Reindexed(source=source.name, target=source.name, adopted=True)
        wanted = msgspec.structs.replace(settings, qdrant_collection=target)
        store = await open_store(wanted, embedder, copy_of=base.name)
        copy = _Copy(collections, source, store, embedder, report)
        try:
            await copy.run(base.name, target, settling_seconds)
        finally:
            await store.close()
        return Reindexed(
            source=source.name, target=target, copied=copy.copied, refused=tuple(sorted(copy.refused))
        )
    finally:
        await collections.close()


async def _ends(
    collections: CollectionAccess, base: CollectionInfo, embedder: Embedder
) -> tuple[CollectionInfo | None, str]:
    """What to copy from (None: nothing is to be done) and the name to copy to."""
    current = await collections.info(base.current, embedder.name) if base.current else None
    source = current or base
    if (source.model, source.size) == (embedder.name, embedder.size):
        origin = source.metadata.get(SOURCE_KEY)
        # the last pass of a reindex that was interrupted is still to come, or finds nothing
        return await collections.info(str(origin), embedder.name) if origin else None, source.name
    ours = (base.model, base.size) == (embedder.name, embedder.size)
    return source, base.name if ours else target_name(base.name, embedder.name)


async def _made_by(embedder: Embedder, collections: CollectionAccess, source: CollectionInfo) -> bool:
    """Whether a collection that does not say so was filled by this model."""
    if source.model is not None or source.size != embedder.size:
        return False
    first: list[Row] = await anext(collections.pages(source.name, SAMPLE, vectors=True), [])
    rows = [row for row in first if row.vector is not None]
    if not rows:
        return False
    stored = np.stack([row.vector for row in rows if row.vector is not None])
    embedded = await embedder.embed([row.content.text for row in rows])
    cosines = np.sum(stored * embedded, axis=1) / np.linalg.norm(stored, axis=1)
    return bool(np.mean(cosines >= ALIKE) >= ALIKE_SHARE)


class _Copy:
    """One reindex under way."""

    def __init__(
        self,
        collections: CollectionAccess,
        source: CollectionInfo,
        store: AnchorStore,
        embedder: Embedder,
        report: Callable[[Progress], None],
    ) -> None:
        self.copied = 0
        self.refused: set[str] = set()
        self._collections = collections
        self._source = source
        self._store = store
        self._embedder = embedder
        self._report = report

    async def run(self, base: str, target: str, settling_seconds: float) -> None:
        """Copy, switch `base` over to `target`, and copy what was written until everyone had noticed."""
        await self._collections.describe(target, {SOURCE_KEY: self._source.name})
        for number in range(PASSES):
            if await self._pass("copying" if number == 0 else "catching up") < PAGE:
                break
        await self._collections.describe(base, {CURRENT_KEY: target})
        self._report(Progress(done=0, total=self._source.points, step="switched, settling"))
        await asyncio.sleep(settling_seconds)
        await self._pass("last pass")

    async def _pass(self, step: str) -> int:
        """Copy what the target lacks; how many that were."""
        before, done = self.copied, 0
        async for rows in self._collections.pages(self._source.name, PAGE):
            known = await self._store.known(rows)
            await self._take([row for row in rows if row.point_id not in known])
            done += len(rows)
            self._report(Progress(done=done, total=max(done, self._source.points), step=step))
        return self.copied - before

    async def _take(self, rows: Sequence[Row]) -> None:
        """Halves what the model or the store refuses until the culprit stands alone."""
        if not rows:
            return
        try:
            vectors = await self._embedder.embed([row.content.text for row in rows])
            written = [Delivery(row.content.written) for row in rows]
            await self._store.add([to_anchor(row) for row in rows], vectors, written)
        except (EmbeddingFailedError, AnchorRejectedError) as error:
            if len(rows) == 1:
                self.refused.add(f"{rows[0].anchor_id}: {error}")
                return
            middle = len(rows) // 2
            await self._take(rows[:middle])
            await self._take(rows[middle:])
            return
        self.copied += len(rows)


def _collections_of(settings: EmbeddingSettings) -> CollectionAccess:
    if settings.qdrant_url.startswith("local:"):
        from vhm.anchors.local.store import LocalCollections

        return LocalCollections(settings.qdrant_url)
    from vhm.anchors.qdrant.client import Client
    from vhm.anchors.qdrant.collection import Collections

    return Collections(Client(settings.qdrant_url, settings.qdrant_api_key))
