"""Remember: decode anchors, embed them, store them, answer each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import structlog

from vhm import embedding
from vhm.anchors import AnchorRejectedError, WriteOutcome, open_store
from vhm.contract.messages import (
    EMBEDDING_FAILED,
    IMMUTABLE,
    INVALID,
    STORAGE_FAILED,
    Anchor,
    AnchorIndexed,
    InvalidMessageError,
    decode,
    encode,
)
from vhm.contract.topics import ANCHORS_INDEXED
from vhm.embedding import EmbeddingFailedError
from vhm.embedding_handler import EmbeddingHandler
from vhm.indexer.settings import Settings
from vhm.runtime.handler import Outcome, Outgoing, Poison, Record, Reply

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

log = structlog.get_logger("vhm.indexer")


class Indexer(EmbeddingHandler[Anchor]):
    """anchors-write → the store → anchors-indexed."""

    name = "indexer"
    batch_size = 256
    max_batches = 2

    def _read(self, record: Record) -> Anchor:
        return decode(Anchor, record.value)

    async def _work(self, messages: Sequence[Anchor]) -> list[Outcome]:
        vectors = await self._embedder.embed([anchor.text for anchor in messages])
        stored = await self._store.add(messages, vectors)
        lines = log.bind()  # once for the batch: it costs as much as reading an anchor
        lines.info(
            "anchors stored",
            anchor_id=str(messages[0].anchor_id),
            count=stored.count(WriteOutcome.STORED),
        )
        return [_answer(anchor, outcome, lines) for anchor, outcome in zip(messages, stored, strict=True)]

    def _refused(self, message: Anchor, error: EmbeddingFailedError | AnchorRejectedError) -> Poison:
        reason, detail = (
            EMBEDDING_FAILED if isinstance(error, EmbeddingFailedError) else STORAGE_FAILED,
            str(error),
        )
        log.warning("anchor refused", anchor_id=str(message.anchor_id), reason=reason, detail=detail)
        answer = AnchorIndexed(anchor_id=message.anchor_id, ok=False, reason=reason, detail=detail)
        return Poison(reason=reason, errors=(detail,), records=(_indexed(message, answer),))

    def _invalid(self, record: Record, error: InvalidMessageError) -> Poison:
        answer = AnchorIndexed(anchor_id=error.id, ok=False, reason=INVALID, errors=error.errors)
        key = str(error.id).encode() if error.id else record.key or b""
        reply = Outgoing(topic=ANCHORS_INDEXED, key=key, value=encode(answer))
        return Poison(reason=INVALID, errors=tuple(error.errors), records=(reply,))


def make(settings: Settings) -> Indexer:
    """The indexer as its settings want it."""
    embedder = embedding.create(settings)
    return Indexer(embedder, partial(open_store, settings, embedder, maintain=True))


def _answer(anchor: Anchor, outcome: WriteOutcome, lines: FilteringBoundLogger) -> Outcome:
    if outcome is WriteOutcome.DIFFERENT:
        lines.warning("anchor refused", anchor_id=str(anchor.anchor_id), reason=IMMUTABLE)
        detail = "this anchor_id already holds other content; a memory never changes: use a new id"
        return Reply(
            (
                _indexed(
                    anchor,
                    AnchorIndexed(anchor_id=anchor.anchor_id, ok=False, reason=IMMUTABLE, detail=detail),
                ),
            )
        )
    lines.debug("anchor stored", anchor_id=str(anchor.anchor_id))
    return Reply((_indexed(anchor, AnchorIndexed(anchor_id=anchor.anchor_id, ok=True)),))


def _indexed(anchor: Anchor, answer: AnchorIndexed) -> Outgoing:
    return Outgoing(topic=ANCHORS_INDEXED, key=str(anchor.anchor_id).encode(), value=encode(answer))
