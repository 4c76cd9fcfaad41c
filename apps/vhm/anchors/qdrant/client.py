"""The Qdrant client, with every way it can fail said in one line."""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

from vhm.anchors.errors import CollectionExistsError, CollectionMissingError, StoreUnavailableError
from vhm.anchors.qdrant.queries import QueryRequestBatch, ScopedQuery
from vhm.anchors.qdrant.sparse import SparseVector
from vhm.contract.env_loader import Secret

TIMEOUT_SECONDS = 5

IDLE_SECONDS = 4.0
"""Qdrant closes a connection that nobody used for 5 s."""

T = TypeVar("T")
Call = Callable[[AsyncQdrantClient], Coroutine[Any, Any, T]]


class RefusedError(StoreUnavailableError):
    """Qdrant understood the request and will not do it (400, 413, 422)."""


class Point(msgspec.Struct, frozen=True):
    """A point to insert: its dense vector alone, or its vectors by name."""

    id: str
    vector: Sequence[float] | dict[str, Sequence[float] | SparseVector]
    payload: dict[str, Any]


class PointVectors(msgspec.Struct, frozen=True):
    """Vectors by name that take the place of those a point has."""

    id: str
    vector: dict[str, SparseVector]


class ScoredPoint(msgspec.Struct, frozen=True):
    """A point that a query found; `vector` as JSON has it."""

    id: int | str
    score: float = 0.0
    payload: dict[str, Any] | None = None
    vector: Any = None


class _Part(msgspec.Struct, frozen=True):
    points: list[ScoredPoint]


class _Answer(msgspec.Struct, frozen=True):
    result: list[_Part]


class _Insert(msgspec.Struct, frozen=True):
    points: Sequence[Point]
    update_mode: Literal["insert_only"] = "insert_only"


class _UpdateVectors(msgspec.Struct, frozen=True):
    points: Sequence[PointVectors]


class Client:
    """One AsyncQdrantClient, made on first use."""

    def __init__(self, url: str, api_key: Secret | None = None) -> None:
        self.address = _address(url)
        self._url = url
        self._api_key = api_key
        self._client: AsyncQdrantClient | None = None

    async def call(self, request: Call[T]) -> T:
        """The answer to `request(client)`. Raises StoreUnavailableError or one of its subclasses."""
        if self._client is None:
            # reading the system's certificates takes 25 ms
            self._client = await asyncio.to_thread(self._made)
        try:
            return await request(self._client)
        except (
            ApiException,
            QdrantException,
            AssertionError,  # the client's way to say that an answer held no result
            OSError,
            ValueError,
            RuntimeError,
        ) as error:
            raise self._failure(error) from error

    async def query(
        self,
        collection: str,
        queries: Sequence[ScopedQuery],
        *,
        consistency: models.ReadConsistency | None = None,
    ) -> list[list[ScoredPoint]]:
        """The points that each of the queries finds, by one request. Raises as `call`."""
        # not the client's own method, which copies every vector number by number to look for texts to embed,
        # nor its types for what comes back, which take as long to make as the answer to read
        batch = QueryRequestBatch.model_construct(searches=[query.request for query in queries])
        body = batch.model_dump_json(by_alias=True, exclude_unset=True, exclude_none=True)

        async def ask(client: AsyncQdrantClient) -> _Answer:
            answer = await client.http.client.request(
                type_=dict,
                method="POST",
                url="/collections/{collection_name}/points/query/batch",
                path_params={"collection_name": collection},
                params={} if consistency is None else {"consistency": str(consistency)},
                headers={"Content-Type": "application/json"},
                content=body,
            )
            return msgspec.convert(answer, _Answer)

        return [part.points for part in (await self.call(ask)).result]

    async def insert(self, collection: str, points: Sequence[Point]) -> None:
        """Add the points whose ids are free. Raises as `call`."""
        # written here: the client's types take three times as long for a vector, and look it through for
        # texts to embed
        body = msgspec.json.encode(_Insert(points))
        await self.call(
            lambda client: client.http.points_api.upsert_points(
                collection_name=collection,
                wait=True,
                ordering=models.WriteOrdering.STRONG,
                point_insert_operations=body,  # type: ignore[arg-type]  # sent as it is
            )
        )

    async def update_vectors(self, collection: str, points: Sequence[PointVectors]) -> None:
        """Replace vectors of points; all are refused if one of them is not there. Raises as `call`."""
        body = msgspec.json.encode(_UpdateVectors(points))
        await self.call(
            lambda client: client.http.points_api.update_vectors(
                collection_name=collection,
                wait=True,
                ordering=models.WriteOrdering.STRONG,
                update_vectors=body,  # type: ignore[arg-type]  # sent as it is
            )
        )

    async def close(self) -> None:
        """Let go of the sockets."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _made(self) -> AsyncQdrantClient:
        with warnings.catch_warnings():
            # a key over http inside a cluster is the operator's choice
            warnings.simplefilter("ignore")
            return AsyncQdrantClient(
                url=self._url,
                api_key=self._api_key.reveal() if self._api_key else None,
                timeout=TIMEOUT_SECONDS,
                check_compatibility=False,
                # left to itself it opens a connection a request where the server is on this machine
                limits=httpx.Limits(keepalive_expiry=IDLE_SECONDS),
                # an answer that Qdrant compresses comes in pieces, the last of them 40 ms later
                headers={"Accept-Encoding": "identity"},
            )

    def _failure(self, error: Exception) -> Exception:
        if isinstance(error, UnexpectedResponse):
            return self._refusal(error.status_code or 0, error.content)
        source = error.source if isinstance(error, ResponseHandlingException) else error
        return StoreUnavailableError(f"{self.address}: {_trouble(source)}")

    def _refusal(self, status: int, content: bytes) -> Exception:
        line = f"{self.address} answers {status}: {_reason(content)}"
        if status in (401, 403):
            return StoreUnavailableError(f"{line}; check QDRANT_API_KEY")
        if status == 404:
            return CollectionMissingError(line)
        if status == 409:
            return CollectionExistsError(line)
        return RefusedError(line) if status in (400, 413, 422) else StoreUnavailableError(line)


def _address(url: str) -> str:
    """Scheme, host and port only: what stands before an @ may be a secret."""
    parts = urlsplit(url)
    return f"Qdrant at {parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _reason(content: bytes) -> str:
    try:
        return _line(str(json.loads(content)["status"]["error"]))
    except (ValueError, KeyError, TypeError):
        return _line(content.decode(errors="replace")) or "nothing more"


def _trouble(source: Exception) -> str:
    """Why no usable answer came, from what httpx or pydantic raised."""
    name = type(source).__name__
    if "Timeout" in name:
        return f"no answer within {TIMEOUT_SECONDS} s"
    if isinstance(source, ValueError | AssertionError) or name in ("DecodingError", "RemoteProtocolError"):
        return f"the answer is not Qdrant's ({_line(str(source))})"
    return f"cannot be reached ({_line(str(source)) or name})"


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else line[:197] + "..."
