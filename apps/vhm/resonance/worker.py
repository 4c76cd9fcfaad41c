"""Recall: decode requests, embed the queries, answer each with its strongest memories."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

import msgspec
import structlog

from vhm import embedding
from vhm.anchors import AnchorRejectedError, Explained, Query, Ranking, Recalled, Scope, open_store
from vhm.contract import explain, retell_headers
from vhm.contract.explain import Candidate, Explanation
from vhm.contract.headers import STRICT, is_strict
from vhm.contract.messages import (
    EMBEDDING_FAILED,
    INVALID,
    Beat,
    InvalidMessageError,
    RecallRequest,
    RecallResponse,
    decode_noting_unknown,
    derived_request_id,
    encode,
)
from vhm.contract.retell_headers import Asked
from vhm.contract.topics import RECALL_RESPONSE
from vhm.embedding import Embedder, EmbeddingFailedError
from vhm.embedding_handler import EmbeddingHandler, OpenStore, UnknownNames
from vhm.memory.activation import age_days
from vhm.memory.ages import perceived_age
from vhm.resonance.settings import Settings
from vhm.runtime.handler import Headers, Outcome, Outgoing, Poison, Record, Reply

log = structlog.get_logger("vhm.resonance")

MOST_META_BYTES = 4_096
MOST_BYTES = 900_000
"""Of a beat's meta, and of a whole answer: a stock broker takes records of 1 048 588 bytes."""


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A request, its defaults filled in."""

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

    def _read(self, record: Record) -> tuple[Ask, UnknownNames]:
        strict = is_strict(record.header(STRICT))
        request, unknown = decode_noting_unknown(RecallRequest, record.value, strict=strict)
        ask = Ask(
            request=request,
            request_id=request.request_id
            or derived_request_id(record.topic, record.partition, record.offset),
            now=request.now or datetime.fromtimestamp(record.timestamp / 1000, UTC),
            explain=explain.asked(record.header(explain.HEADER)),
        )
        return ask, unknown

    async def _work(self, messages: Sequence[Ask]) -> list[Outcome]:
        vectors = await self._embedder.embed([ask.request.query for ask in messages])
        queries = [self._query(ask, vector) for ask, vector in zip(messages, vectors, strict=True)]
        rankings = await self._store.recall(queries)
        empty = [
            not ranking.candidates and not await self._store.count(query.scope)
            for ranking, query in zip(rankings, queries, strict=True)
        ]
        return [
            _reply(ask, ranking, Asked(ask.request.query, ask.now, none), self._settings.base_level_weight)
            for ask, ranking, none in zip(messages, rankings, empty, strict=True)
        ]

    def _refused(self, message: Ask, error: EmbeddingFailedError | AnchorRejectedError) -> Poison:
        log.warning("query refused", request_id=str(message.request_id), detail=str(error))
        answer = self._failed(message, str(error))
        return Poison(reason=EMBEDDING_FAILED, errors=(str(error),), records=(answer,))

    def _invalid(self, record: Record, error: InvalidMessageError) -> Poison:
        records = (_failed(error.id, str(error)),) if error.id else ()
        return Poison(reason=INVALID, errors=tuple(error.errors), records=records)

    def _failed(self, message: Ask, error: str) -> Outgoing:
        return _failed(message.request_id, error, message.request.owner)

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
            at_least=request.at_least,
            since=request.since,
            until=request.until,
            where=request.where,
        )


def make(settings: Settings) -> Resonance:
    """Resonance for these settings."""
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
        meaning=one.meaning,
        words=one.words,
        left_out=explained.left_out,
    )


def _failed(request_id: uuid.UUID, error: str, owner: str = "") -> Outgoing:
    """The answer to a request that cannot be served: no beats, and an error."""
    response = RecallResponse(request_id=request_id, beats=[], owner=owner, error=error)
    return Outgoing(topic=RECALL_RESPONSE, key=str(request_id).encode(), value=encode(response))


def _headers(ask: Ask, ranking: Ranking, asked: Asked, base_level_weight: float) -> Headers:
    headers = retell_headers.encode(asked)
    if not ask.explain:
        return headers
    explanation = Explanation(
        candidates=[_candidate(one, ask.now) for one in ranking.explained],
        memories=ranking.memories,
        base_level_weight=base_level_weight,
    )
    return (*headers, (explain.HEADER, explain.encode(explanation)))


def _reply(ask: Ask, ranking: Ranking, asked: Asked, base_level_weight: float) -> Reply:
    log.info("recalled", request_id=str(ask.request_id), beats=len(ranking.beats))
    beats = bounded([_beat(one, ask.now) for one in ranking.beats])
    response = RecallResponse(request_id=ask.request_id, beats=beats, owner=ask.request.owner)
    answer = Outgoing(
        topic=RECALL_RESPONSE,
        key=str(ask.request_id).encode(),
        value=encode(response),
        headers=_headers(ask, ranking, asked, base_level_weight),
    )
    return Reply((answer,))


def _beat(one: Recalled, now: datetime) -> Beat:
    return Beat(
        anchor_id=one.anchor_id,
        text=one.text,
        perceived_age=perceived_age(one.stored_at, now),
        activation=one.activation,
        match=one.match,
        stored_at=one.stored_at,
        meta=one.meta or None,
    )


def bounded(beats: Sequence[Beat]) -> list[Beat]:
    """The beats with as much of their meta as fits: up to 4 kB each, and 900 kB for the whole answer."""
    room = MOST_BYTES - sum(len(encode(msgspec.structs.replace(beat, meta=None))) for beat in beats)
    found = []
    for beat in beats:
        size = len(msgspec.json.encode(beat.meta)) if beat.meta else 0
        if size > MOST_META_BYTES or size > room:
            found.append(msgspec.structs.replace(beat, meta=None, meta_left_out=True))
        else:
            room -= size
            found.append(beat)
    return found
