"""Recall: decode requests, embed the queries, answer each with its strongest memories."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
import structlog

from vhm import embedding
from vhm.anchors import AnchorRejectedError, AnchorStore, Explained, Query, Recalled
from vhm.contract import explain, retell_headers
from vhm.contract.explain import Candidate, Explanation
from vhm.contract.messages import (
    EMBEDDING_FAILED,
    INVALID,
    Beat,
    InvalidMessageError,
    RecallRequest,
    RecallResponse,
    decode,
    derived_request_id,
    encode,
)
from vhm.contract.retell_headers import Asked
from vhm.contract.topics import RECALL_RESPONSE
from vhm.embedding import Embedder, EmbeddingFailedError
from vhm.embedding_handler import EmbeddingHandler
from vhm.memory.activation import age_days
from vhm.memory.ages import perceived_age
from vhm.resonance.settings import Settings
from vhm.runtime.handler import Headers, Outcome, Outgoing, Poison, Record, Reply

log = structlog.get_logger("vhm.resonance")


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A request with what it left out filled in from its record."""

    request: RecallRequest
    request_id: uuid.UUID
    now: datetime
    explain: int
    """Candidates to explain in a header."""


class Resonance(EmbeddingHandler[Ask]):
    """recall-request → the store → recall-response."""

    name = "resonance"
    batch_size = 16
    max_batches = 4

    def __init__(self, settings: Settings, embedder: Embedder, store: AnchorStore) -> None:
        super().__init__(embedder, store)
        self._settings = settings

    def _read(self, record: Record) -> Ask:
        request = decode(RecallRequest, record.value)
        return Ask(
            request=request,
            request_id=request.request_id
            or derived_request_id(record.topic, record.partition, record.offset),
            now=request.now or datetime.fromtimestamp(record.timestamp / 1000, UTC),
            explain=explain.asked(record.header(explain.HEADER)),
        )

    async def _work(self, messages: Sequence[Ask]) -> list[Outcome]:
        vectors = await self._embedder.embed([ask.request.query for ask in messages])
        queries = [self._query(ask, vector) for ask, vector in zip(messages, vectors, strict=True)]
        found = await self._store.recall(queries)
        explained = [await self._explain(ask, query) for ask, query in zip(messages, queries, strict=True)]
        empty = [
            not beats and await self._is_empty(query) for beats, query in zip(found, queries, strict=True)
        ]
        return [
            _reply(ask, beats, (*headers, *retell_headers.encode(Asked(ask.request.query, ask.now, none))))
            for ask, beats, headers, none in zip(messages, found, explained, empty, strict=True)
        ]

    async def _is_empty(self, query: Query) -> bool:
        return (await self._store.summary(query.now, query.session_id)).total == 0

    def _refused(self, message: Ask, error: EmbeddingFailedError | AnchorRejectedError) -> Poison:
        log.warning("query refused", request_id=str(message.request_id), detail=str(error))
        return Poison(
            reason=EMBEDDING_FAILED, errors=(str(error),), records=_failed(message.request_id, str(error))
        )

    def _invalid(self, record: Record, error: InvalidMessageError) -> Poison:
        records = _failed(error.id, str(error)) if error.id else ()
        return Poison(reason=INVALID, errors=tuple(error.errors), records=records)

    async def _explain(self, ask: Ask, query: Query) -> Headers:
        if not ask.explain:
            return ()
        candidates = await self._store.explain(query, ask.explain)
        summary = await self._store.summary(query.now, query.session_id)
        explanation = Explanation(
            candidates=[_candidate(one, query.now) for one in candidates],
            total=summary.total,
            too_young=summary.younger_than_5s,
            same_session=summary.of_session,
        )
        return ((explain.HEADER, explain.encode(explanation)),)

    def _query(self, ask: Ask, vector: embedding.Vector) -> Query:
        request, settings = ask.request, self._settings
        return Query(
            vector=vector,
            text=request.query,
            now=ask.now,
            limit=min(settings.max_beats, request.top_k),
            session_id=request.session_id,
            ignore=frozenset(request.ignore_anchor_ids),
            decay_lambda=settings.decay_lambda_per_day,
            diversity_threshold=settings.diversity_threshold,
        )


def make(settings: Settings) -> Resonance:
    """Resonance as its settings want it."""
    embedder = embedding.create(settings)
    return Resonance(settings, embedder, AnchorStore(settings, embedder, hybrid=settings.hybrid_recall))


def _candidate(explained: Explained, now: datetime) -> Candidate:
    one = explained.recalled
    return Candidate(
        anchor_id=one.anchor_id,
        text=one.text[: explain.TEXT],
        age_days=age_days(one.stored_at, now),
        similarity=one.similarity,
        decay=one.decay,
        salience=one.salience,
        activation=one.activation,
        left_out=explained.left_out,
    )


def _failed(request_id: uuid.UUID, error: str) -> tuple[Outgoing, ...]:
    """The answer to a request that cannot be served: no beats, and why."""
    response = RecallResponse(request_id=request_id, beats=[], error=error)
    return (Outgoing(topic=RECALL_RESPONSE, key=str(request_id).encode(), value=encode(response)),)


def _reply(ask: Ask, recalled: Sequence[Recalled], headers: Headers) -> Reply:
    beats = [
        Beat(
            anchor_id=one.anchor_id,
            text=one.text,
            perceived_age=perceived_age(one.stored_at, ask.now),
            activation=one.activation,
        )
        for one in recalled
    ]
    log.info("recalled", request_id=str(ask.request_id), beats=len(beats))
    response = RecallResponse(request_id=ask.request_id, beats=beats)
    key = str(ask.request_id).encode()
    answer = Outgoing(topic=RECALL_RESPONSE, key=key, value=encode(response), headers=headers)
    return Reply((answer,))
