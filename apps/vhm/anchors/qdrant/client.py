"""The Qdrant client, with every way it can fail said in one line.

What carries vectors (queries, inserts, new vectors) is written and read here and goes over aiohttp. The types
of qdrant-client take three times as long for a vector, and its methods look each through for texts to embed;
httpx, which it uses, takes 1.2 ms of CPU to receive a page of candidates, aiohttp 0.2 ms.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import urllib.request
import warnings
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeVar
from urllib.parse import quote, urlsplit

import aiohttp
import httpx
import msgspec
import numpy as np
import orjson
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

from vhm.anchors.errors import CollectionExistsError, CollectionMissingError, StoreUnavailableError
from vhm.anchors.qdrant import queries, sparse
from vhm.anchors.qdrant.queries import QueryRequestBatch, ScopedQuery
from vhm.anchors.qdrant.sparse import SparseVector
from vhm.anchors.types import Vector
from vhm.contract.env_loader import Secret

TIMEOUT_SECONDS = 5

IDLE_SECONDS = 4.0
"""Qdrant closes a connection that nobody used for 5 s."""

_WRITE_PARAMS = {"wait": "true", "ordering": "strong"}
"""How points are written: when the answer comes they are found, in the order they were written."""

_FAILURES = (
    ApiException,
    QdrantException,
    aiohttp.ClientError,
    AssertionError,  # qdrant-client's way to say that an answer held no result
    OSError,
    ValueError,
    RuntimeError,
)
"""What the two clients raise when there is no usable answer."""

T = TypeVar("T")
Call = Callable[[AsyncQdrantClient], Coroutine[Any, Any, T]]


class RefusedError(StoreUnavailableError):
    """Qdrant understood the request and will not do it (400, 413, 422)."""


class Point(msgspec.Struct, frozen=True):
    """A point to insert: its dense vector alone, or its vectors by name."""

    id: str
    vector: Vector | dict[str, Vector | SparseVector]
    payload: dict[str, Any]


class PointVectors(msgspec.Struct, frozen=True):
    """Vectors by name that take the place of those a point has."""

    id: str
    vector: dict[str, SparseVector]


class NamedVectors(msgspec.Struct, frozen=True):
    """The vectors that a point came back with. The dense one is not read until it is asked for: that takes
    longer than all else of an answer, and few are."""

    unnamed: msgspec.Raw = msgspec.field(default=msgspec.Raw(b"[]"), name=queries.DENSE)
    words: SparseVector | None = msgspec.field(default=None, name=sparse.WORDS)


class ScoredPoint(msgspec.Struct, frozen=True):
    """A point that a query found."""

    id: int | str
    score: float = 0.0
    payload: dict[str, Any] | None = None
    vector: NamedVectors | list[float] | None = None

    def dense(self) -> Vector:
        """Its dense vector, or no numbers."""
        vector = self.vector
        if isinstance(vector, NamedVectors):
            vector = msgspec.json.decode(vector.unnamed, type=list[float])
        return np.array(vector or (), dtype=np.float32)

    def words(self) -> SparseVector:
        """Its sparse vector."""
        words = self.vector.words if isinstance(self.vector, NamedVectors) else None
        return words or SparseVector((), ())


class _Part(msgspec.Struct, frozen=True):
    points: list[ScoredPoint]


class _Answer(msgspec.Struct, frozen=True):
    result: list[_Part]


class _Insert(msgspec.Struct, frozen=True):
    points: Sequence[Point]
    update_mode: Literal["insert_only"] = "insert_only"


class _UpdateVectors(msgspec.Struct, frozen=True):
    points: Sequence[PointVectors]


def _numbers(vector: Vector) -> msgspec.Raw:
    """A dense vector in JSON, with as many digits as float32 has: orjson writes it three times as fast."""
    return msgspec.Raw(orjson.dumps(np.ascontiguousarray(vector), option=orjson.OPT_SERIALIZE_NUMPY))


_json = msgspec.json.Encoder(enc_hook=_numbers).encode


class _Connections(NamedTuple):
    client: AsyncQdrantClient
    session: aiohttp.ClientSession


class Client:
    """The connections to one server, made on first use."""

    def __init__(self, url: str, api_key: Secret | None = None) -> None:
        self.address = _address(url)
        self._url = url
        self._api_key = api_key
        self._connections: _Connections | None = None
        self._connecting = asyncio.Lock()

    async def call(self, request: Call[T]) -> T:
        """The answer to `request(client)`. Raises StoreUnavailableError or one of its subclasses."""
        client = (await self._connected()).client
        try:
            return await request(client)
        except _FAILURES as error:
            raise self._failure(error) from error

    async def query(
        self,
        collection: str,
        queries: Sequence[ScopedQuery],
        *,
        consistency: models.ReadConsistency | None = None,
    ) -> list[list[ScoredPoint]]:
        """The points that each of the queries finds, by one request. Raises as `call`."""
        batch = QueryRequestBatch.model_construct(searches=[query.request for query in queries])
        body = batch.model_dump_json(by_alias=True, exclude_unset=True, exclude_none=True).encode()
        how = {} if consistency is None else {"consistency": str(consistency)}
        content = await self._send("POST", collection, "points/query/batch", body, how)
        try:
            return [part.points for part in msgspec.json.decode(content, type=_Answer).result]
        except ValueError as error:
            raise self._failure(error) from error

    async def insert(self, collection: str, points: Sequence[Point]) -> None:
        """Add the points whose ids are free. Raises as `call`."""
        await self._send("PUT", collection, "points", _json(_Insert(points)), _WRITE_PARAMS)

    async def update_vectors(self, collection: str, points: Sequence[PointVectors]) -> None:
        """Replace vectors of points; all are refused if one of them is not there. Raises as `call`."""
        body = _json(_UpdateVectors(points))
        await self._send("PUT", collection, "points/vectors", body, _WRITE_PARAMS)

    async def close(self) -> None:
        """Let go of the sockets."""
        connections, self._connections = self._connections, None
        if connections is not None:
            await connections.session.close()
            await connections.client.close()

    async def _send(
        self, method: str, collection: str, path: str, body: bytes, params: Mapping[str, str]
    ) -> bytes:
        session = (await self._connected()).session
        where = f"collections/{quote(collection, safe='')}/{path}"
        try:
            async with session.request(method, where, params=params, data=body) as answer:
                content = await answer.read()
        except _FAILURES as error:
            raise self._failure(error) from error
        if answer.status != 200:
            raise self._refusal(answer.status, content)
        return content

    async def _connected(self) -> _Connections:
        async with self._connecting:
            if self._connections is None:
                # reading the system's certificates takes 25 ms
                self._connections = self._connect(await asyncio.to_thread(httpx.create_ssl_context))
            return self._connections

    def _connect(self, certificates: ssl.SSLContext) -> _Connections:
        # an answer that Qdrant compresses comes in pieces, the last of them 40 ms later
        headers = {"Accept-Encoding": "identity"}
        key = self._api_key.reveal() if self._api_key else None
        with warnings.catch_warnings():
            # a key over http inside a cluster is the operator's choice
            warnings.simplefilter("ignore")
            client = AsyncQdrantClient(
                url=self._url,
                api_key=key,
                timeout=TIMEOUT_SECONDS,
                check_compatibility=False,
                # left to itself it opens a connection a request where the server is on this machine
                limits=httpx.Limits(keepalive_expiry=IDLE_SECONDS),
                headers=headers,
                verify=certificates,
            )
        session = aiohttp.ClientSession(
            f"{client.http.client.host.rstrip('/')}/",
            connector=aiohttp.TCPConnector(keepalive_timeout=IDLE_SECONDS, ssl=certificates),
            headers=headers | {"Content-Type": "application/json"} | ({"api-key": key} if key else {}),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
            # left to find it itself it asks two threads at every request
            proxy=_proxy(self._url),
        )
        return _Connections(client, session)

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


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for this address."""
    parts = urlsplit(url)
    proxies = urllib.request.getproxies()
    if not parts.hostname or urllib.request.proxy_bypass(parts.hostname):
        return None
    return proxies.get(parts.scheme, proxies.get("all"))


def _reason(content: bytes) -> str:
    try:
        return _line(str(json.loads(content)["status"]["error"]))
    except (ValueError, KeyError, TypeError):
        return _line(content.decode(errors="replace")) or "nothing more"


def _trouble(source: Exception) -> str:
    """Why no usable answer came, from what a client raised."""
    name = type(source).__name__
    if "Timeout" in name:
        return f"no answer within {TIMEOUT_SECONDS} s"
    if name in ("DecodingError", "RemoteProtocolError") or isinstance(
        source, ValueError | AssertionError | aiohttp.ClientResponseError
    ):
        return f"the answer is not Qdrant's ({_line(str(source))})"
    return f"cannot be reached ({_line(str(source)) or name})"


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else line[:197] + "..."
