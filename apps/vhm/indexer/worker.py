"""Remember: decode anchors, embed them, store them, answer each."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from vhm import embedding
from vhm.anchors import AnchorStore, AnchorUnstorable, Stored, StoreUnavailable
from vhm.contract.messages import (
    EMBEDDING_FAILED,
    IMMUTABLE,
    INVALID,
    STORAGE_FAILED,
    Anchor,
    AnchorIndexed,
    InvalidMessage,
    decode,
    encode,
)
from vhm.contract.topics import ANCHORS_INDEXED
from vhm.embedding import Embedder, EmbeddingFailed, EmbeddingUnavailable
from vhm.indexer.settings import Settings
from vhm.runtime.handler import Outcome, Outgoing, Poison, Record, Reply, Unavailable

log = structlog.get_logger("vhm.indexer")


class Indexer:
    """anchors-write → the store → anchors-indexed. See `runtime.handler.Handler`."""

    name = "indexer"
    batch = 256
    window = 2

    def __init__(self, embedder: Embedder, store: AnchorStore) -> None:
        self._embedder = embedder
        self._store = store

    async def open(self) -> None:
        """Load the model, then find or make the collection it fills."""
        try:
            await self._embedder.open()
            await self._store.open()
        except (EmbeddingUnavailable, StoreUnavailable) as error:
            raise Unavailable(str(error)) from error

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        """Embed and store the batch at once; answer and outcome are each record's own."""
        outcomes: list[Outcome | None] = [None] * len(records)
        good: list[tuple[int, Anchor]] = []
        for index, record in enumerate(records):
            try:
                good.append((index, decode(Anchor, record.value)))
            except InvalidMessage as error:
                outcomes[index] = _invalid(record, error)
        if good:
            for index, outcome in await self._remember(good):
                outcomes[index] = outcome
        return [outcome for outcome in outcomes if outcome is not None]

    async def _remember(self, good: list[tuple[int, Anchor]]) -> list[tuple[int, Outcome]]:
        """Halves a batch that the model or the store refuses until the culprit stands alone."""
        anchors = [anchor for _, anchor in good]
        try:
            vectors = await self._embedder.embed([anchor.text for anchor in anchors])
            stored = await self._store.add(anchors, vectors)
        except (EmbeddingUnavailable, StoreUnavailable) as error:
            raise Unavailable(str(error)) from error
        except (EmbeddingFailed, AnchorUnstorable) as error:
            if len(good) > 1:
                middle = len(good) // 2
                return await self._remember(good[:middle]) + await self._remember(good[middle:])
            reason = EMBEDDING_FAILED if isinstance(error, EmbeddingFailed) else STORAGE_FAILED
            return [(good[0][0], _refused(anchors[0], reason, str(error)))]
        log.info(
            "anchors stored",
            anchor_id=str(anchors[0].anchor_id),
            count=len(anchors),
            new=stored.count(Stored.NEW),
            known=stored.count(Stored.SAME),
        )
        return [(index, _answer(anchor, state)) for (index, anchor), state in zip(good, stored, strict=True)]

    async def not_ready(self) -> Sequence[str]:
        """See `Handler.not_ready`."""
        return await self._store.not_ready()

    def details(self) -> Sequence[str]:
        """Nothing beyond readiness."""
        return ()

    def drain(self, seconds: float) -> None:
        """Nothing to hurry: a batch is over in far less."""

    async def close(self) -> None:
        """Close the store, then the model."""
        await self._store.close()
        await self._embedder.close()


def make(settings: Settings) -> Indexer:
    """The indexer as its settings want it."""
    embedder = embedding.create(settings)
    return Indexer(embedder, AnchorStore(settings, embedder, hybrid=settings.hybrid_recall))


def _answer(anchor: Anchor, state: Stored) -> Outcome:
    if state is Stored.DIFFERENT:
        log.warning("anchor refused", anchor_id=str(anchor.anchor_id), reason=IMMUTABLE)
        detail = "this anchor_id already holds other content; a memory never changes: use a new id"
        return Reply(
            (
                _indexed(
                    anchor,
                    AnchorIndexed(anchor_id=anchor.anchor_id, ok=False, reason=IMMUTABLE, detail=detail),
                ),
            )
        )
    log.debug("anchor stored", anchor_id=str(anchor.anchor_id), known=state is Stored.SAME)
    return Reply((_indexed(anchor, AnchorIndexed(anchor_id=anchor.anchor_id, ok=True)),))


def _refused(anchor: Anchor, reason: str, detail: str) -> Poison:
    log.warning("anchor refused", anchor_id=str(anchor.anchor_id), reason=reason, detail=detail)
    answer = AnchorIndexed(anchor_id=anchor.anchor_id, ok=False, reason=reason, detail=detail)
    return Poison(reason=reason, errors=(detail,), records=(_indexed(anchor, answer),))


def _invalid(record: Record, error: InvalidMessage) -> Poison:
    answer = AnchorIndexed(anchor_id=error.id, ok=False, reason=INVALID, errors=error.errors)
    key = str(error.id).encode() if error.id else record.key or b""
    reply = Outgoing(topic=ANCHORS_INDEXED, key=key, value=encode(answer))
    return Poison(reason=INVALID, errors=tuple(error.errors), records=(reply,))


def _indexed(anchor: Anchor, answer: AnchorIndexed) -> Outgoing:
    return Outgoing(topic=ANCHORS_INDEXED, key=str(anchor.anchor_id).encode(), value=encode(answer))
