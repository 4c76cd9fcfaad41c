"""Remember and forget: decode anchors, embed them, store them, answer each; forget what is asked for."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import structlog

from vhm import embedding
from vhm.anchors import AnchorRejectedError, Delivery, WriteOutcome, open_store
from vhm.anchors.lifecycle import tombstones
from vhm.contract.headers import FILLED, STORED_AT, STRICT, is_strict
from vhm.contract.messages import (
    EMBEDDING_FAILED,
    FORGOTTEN,
    IMMUTABLE,
    INVALID,
    STORAGE_FAILED,
    Anchor,
    AnchorIndexed,
    AnchorsForget,
    AnchorsForgotten,
    InvalidMessageError,
    decode,
    decode_noting_unknown,
    derived_request_id,
    encode,
)
from vhm.contract.topics import ANCHORS_FORGET, ANCHORS_FORGOTTEN, ANCHORS_INDEXED
from vhm.embedding import EmbeddingFailedError
from vhm.embedding_handler import EmbeddingHandler, UnknownNames
from vhm.indexer.settings import Settings
from vhm.runtime.handler import Outcome, Outgoing, Poison, Record, Reply

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

log = structlog.get_logger("vhm.indexer")


class Write(msgspec.Struct, frozen=True):
    """An anchor to store, and how it came."""

    anchor: Anchor
    delivery: Delivery


class Forget(msgspec.Struct, frozen=True):
    """What to forget, of a request whose record has the timestamp `written`."""

    request_id: uuid.UUID
    request: AnchorsForget
    written: int


class Indexer(EmbeddingHandler[Write | Forget]):
    """anchors-write → the store → anchors-indexed, and anchors-forget → the store → anchors-forgotten."""

    name = "indexer"
    batch_size = 256
    max_batches = 4

    def _read(self, record: Record) -> tuple[Write | Forget, UnknownNames]:
        if record.logical_topic == ANCHORS_FORGET:
            request = decode(AnchorsForget, record.value)
            return Forget(_request_id(record, request.request_id), request, record.timestamp), ()
        anchor, unknown = decode_noting_unknown(Anchor, record.value, strict=is_strict(record.header(STRICT)))
        delivery = Delivery(record.timestamp, filled=record.header(STORED_AT) == FILLED)
        return Write(anchor, delivery), unknown

    async def _work(self, messages: Sequence[Write | Forget]) -> list[Outcome]:
        # forgetting comes last: nothing after it fails, so that it is done and counted once
        outcomes: dict[int, Outcome] = {}
        writes = {index: one for index, one in enumerate(messages) if isinstance(one, Write)}
        if writes:
            outcomes.update(zip(writes, await self._remember(list(writes.values())), strict=True))
        for index, message in enumerate(messages):
            if isinstance(message, Forget):
                outcomes[index] = await self._forget(message)
        return [outcomes[index] for index in range(len(messages))]

    async def _remember(self, writes: Sequence[Write]) -> list[Outcome]:
        anchors = [write.anchor for write in writes]
        vectors = await self._embedder.embed([anchor.text for anchor in anchors])
        stored = await self._store.add(anchors, vectors, [write.delivery for write in writes])
        lines = log.bind()  # once for the batch: it costs as much as reading an anchor
        lines.info(
            "anchors stored",
            anchor_id=str(anchors[0].anchor_id),
            count=stored.count(WriteOutcome.STORED),
        )
        return [_answer(anchor, outcome, lines) for anchor, outcome in zip(anchors, stored, strict=True)]

    async def _forget(self, message: Forget) -> Outcome:
        request = message.request
        count = await self._store.forget(tombstones(request, message.written))
        log.info("anchors forgotten", request_id=str(message.request_id), count=count)
        answer = AnchorsForgotten(request_id=message.request_id, owner=request.owner, forgotten=count)
        return Reply((_forgotten(answer),))

    def _refused(self, message: Write | Forget, error: EmbeddingFailedError | AnchorRejectedError) -> Poison:
        assert isinstance(message, Write)  # noqa: S101 - nothing is embedded or stored to forget
        anchor_id = message.anchor.anchor_id
        reason, detail = (
            EMBEDDING_FAILED if isinstance(error, EmbeddingFailedError) else STORAGE_FAILED,
            str(error),
        )
        log.warning("anchor refused", anchor_id=str(anchor_id), reason=reason, detail=detail)
        answer = AnchorIndexed(anchor_id=anchor_id, ok=False, reason=reason, detail=detail)
        return Poison(reason=reason, errors=(detail,), records=(_indexed(answer),))

    def _failed(self, message: Write | Forget, error: str) -> Outgoing:
        if isinstance(message, Forget):
            return _forgotten(AnchorsForgotten(request_id=message.request_id, errors=[error]))
        anchor_id = message.anchor.anchor_id
        return _indexed(AnchorIndexed(anchor_id=anchor_id, ok=False, reason=STORAGE_FAILED, detail=error))

    def _invalid(self, record: Record, error: InvalidMessageError) -> Poison:
        if record.logical_topic == ANCHORS_FORGET:
            refused = AnchorsForgotten(request_id=_request_id(record, error.id), errors=error.errors)
            return Poison(reason=INVALID, errors=tuple(error.errors), records=(_forgotten(refused),))
        answer = AnchorIndexed(anchor_id=error.id, ok=False, reason=INVALID, errors=error.errors)
        reply = _indexed(answer, record.key or b"")
        return Poison(reason=INVALID, errors=tuple(error.errors), records=(reply,))


def make(settings: Settings) -> Indexer:
    """The indexer for these settings."""
    embedder = embedding.create(settings)
    return Indexer(embedder, partial(open_store, settings, embedder, maintain=True))


def _request_id(record: Record, given: uuid.UUID | None) -> uuid.UUID:
    return given or derived_request_id(record.topic, record.partition, record.offset)


def _answer(anchor: Anchor, outcome: WriteOutcome, lines: FilteringBoundLogger) -> Outcome:
    anchor_id = anchor.anchor_id
    if outcome is WriteOutcome.STORED:
        lines.debug("anchor stored", anchor_id=str(anchor_id))
        return Reply((_indexed(AnchorIndexed(anchor_id=anchor_id, ok=True)),))
    if outcome is WriteOutcome.CIRCULAR:
        errors = ["supersedes: names an anchor that supersedes this one"]
        lines.warning("anchor refused", anchor_id=str(anchor_id), reason=INVALID, errors=errors)
        answer = AnchorIndexed(anchor_id=anchor_id, ok=False, reason=INVALID, errors=errors)
        return Poison(reason=INVALID, errors=tuple(errors), records=(_indexed(answer),))
    reason, detail = (
        (FORGOTTEN, "this anchor was forgotten, and does not come back")
        if outcome is WriteOutcome.FORGOTTEN
        else (IMMUTABLE, "this anchor_id already holds other content; a memory never changes: use a new id")
    )
    lines.warning("anchor refused", anchor_id=str(anchor_id), reason=reason)
    return Reply((_indexed(AnchorIndexed(anchor_id=anchor_id, ok=False, reason=reason, detail=detail)),))


def _indexed(answer: AnchorIndexed, key: bytes = b"") -> Outgoing:
    """`key` is taken where the id could not be read."""
    key = str(answer.anchor_id).encode() if answer.anchor_id else key
    return Outgoing(topic=ANCHORS_INDEXED, key=key, value=encode(answer))


def _forgotten(answer: AnchorsForgotten) -> Outgoing:
    return Outgoing(topic=ANCHORS_FORGOTTEN, key=str(answer.request_id).encode(), value=encode(answer))
