"""Recall: decode requests, embed the queries, answer each with its strongest memories."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

import msgspec
import structlog

from vhm import embedding
from vhm.anchors import AnchorRejectedError, Explained, Query, Ranking, Scope, open_store
from vhm.contract import explain
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
from vhm.contract.topics import RECALL_RESPONSE
from vhm.embedding import Embedder, EmbeddingFailedError
from vhm.embedding_handler import EmbeddingHandler, OpenStore
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

    def __init__(self, settings: Settings, embedder: Embedder, open_store: OpenStore) -> None:
        super().__init__(embedder, open_store)
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
        rankings = await self._store.recall(queries)
        return [_reply(ask, ranking) for ask, ranking in zip(messages, rankings, strict=True)]

    def _refused(self, message: Ask, error: EmbeddingFailedError | AnchorRejectedError) -> Poison:
        log.warning("query refused", request_id=str(message.request_id), detail=str(error))
        return Poison(reason=EMBEDDING_FAILED, errors=(str(error),))

    def _invalid(self, record: Record, error: InvalidMessageError) -> Poison:
        return Poison(reason=INVALID, errors=tuple(error.errors))

    def _query(self, ask: Ask, vector: embedding.Vector) -> Query:
        request, settings = ask.request, self._settings
        return Query(
            scope=Scope(request.owner),
            vector=vector,
            text=request.query,
            now=ask.now,
            limit=min(settings.max_beats, request.top_k),
            session_id=request.session_id,
            ignore=frozenset(request.ignore_anchor_ids),
            min_age_seconds=request.min_age_seconds,
            decay_lambda=settings.decay_lambda_per_day,
            base_level_weight=settings.base_level_weight,
            least_match=settings.floor,
            diversity_threshold=settings.diversity_threshold,
            explain=ask.explain,
        )


def make(settings: Settings) -> Resonance:
    """Resonance as its settings want it."""
    embedder = embedding.create(settings)
    return Resonance(settings, embedder, partial(open_store, settings, embedder))


def _candidate(explained: Explained, now: datetime) -> Candidate:
    one = explained.recalled
    return Candidate(
        anchor_id=one.anchor_id,
        text=one.text[: explain.TEXT],
        age_days=age_days(one.stored_at, now),
        match=one.match,
        similarity=one.similarity,
        decay=one.decay,
        salience=one.salience,
        activation=one.activation,
        left_out=explained.left_out,
    )


def _headers(ask: Ask, ranking: Ranking) -> Headers:
    if not ask.explain:
        return ()
    explanation = Explanation(
        candidates=[_candidate(one, ask.now) for one in ranking.explained], memories=ranking.memories
    )
    return ((explain.HEADER, explain.encode(explanation)),)


def _reply(ask: Ask, ranking: Ranking) -> Reply:
    beats = [
        Beat(
            anchor_id=one.anchor_id,
            text=one.text,
            perceived_age=perceived_age(one.stored_at, ask.now),
            activation=one.activation,
            match=one.match,
            stored_at=one.stored_at,
        )
        for one in ranking.beats
    ]
    log.info("recalled", request_id=str(ask.request_id), beats=len(beats))
    response = RecallResponse(request_id=ask.request_id, beats=beats)
    key = str(ask.request_id).encode()
    answer = Outgoing(topic=RECALL_RESPONSE, key=key, value=encode(response), headers=_headers(ask, ranking))
    return Reply((answer,))
