"""The Qdrant client, with every way it can fail told in one line."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Coroutine, Sequence
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
from qdrant_client import AsyncQdrantClient
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

from vhm.anchors.errors import StoreUnavailableError
from vhm.anchors.qdrant import wire
from vhm.anchors.qdrant.requests import Request
from vhm.contract.env_loader import Secret

TIMEOUT_SECONDS = 5

T = TypeVar("T")
Call = Callable[[AsyncQdrantClient], Coroutine[Any, Any, T]]


class Missing(StoreUnavailableError):
    """There is no such collection (or no Qdrant behind that path)."""


class Conflict(StoreUnavailableError):
    """It exists already."""


class Refused(Exception):
    """Qdrant understood the request and will not do it (400, 413, 422). One line."""


class Connection:
    """One AsyncQdrantClient, made on first use, and beside it the wire for queries and inserts."""

    def __init__(self, url: str, api_key: Secret | None = None) -> None:
        self.where = _address(url)
        self._url = url
        self._api_key = api_key
        self._client: AsyncQdrantClient | None = None
        self._wire: wire.Wire | None = None

    async def call(self, request: Call[T]) -> T:
        """The answer to `request(client)`. Raises StoreUnavailableError, Missing, Conflict or Refused."""
        if self._client is None:
            self._client = self._made()
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
            raise self._told(error) from error

    async def query(self, collection: str, requests: Sequence[Request]) -> list[list[wire.Point]]:
        """The points that each of the requests finds. Raises as `call`."""
        return await self._direct(lambda line: line.ask(collection, requests), wire.points)

    async def insert(self, collection: str, points: Sequence[wire.NewPoint]) -> None:
        """Add those points whose ids are new. Raises as `call`."""
        await self._direct(lambda line: line.insert(collection, points), wire.done)

    async def _direct(
        self,
        request: Callable[[wire.Wire], Coroutine[Any, Any, tuple[int, bytes]]],
        read: Callable[[bytes], T],
    ) -> T:
        if self._wire is None:
            key = self._api_key.reveal() if self._api_key else None
            self._wire = wire.Wire(self._url, key, TIMEOUT_SECONDS)
        try:
            status, body = await request(self._wire)
            if status == HTTPStatus.OK:
                return read(body)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self._told(error) from error
        raise self._answered(status, body)

    async def close(self) -> None:
        """Let go of the sockets."""
        queries, self._wire = self._wire, None
        if queries is not None:
            await queries.close()
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
            )

    def _told(self, error: Exception) -> Exception:
        if isinstance(error, UnexpectedResponse):
            return self._answered(error.status_code or 0, error.content)
        if isinstance(error, ResponseHandlingException):
            return StoreUnavailableError(f"{self.where}: {_trouble(error.source)}")
        return StoreUnavailableError(f"{self.where}: {_trouble(error)}")

    def _answered(self, status: int, content: bytes) -> Exception:
        said = f"{self.where} answers {status}: {_reason(content)}"
        if status in (401, 403):
            return StoreUnavailableError(f"{said}; check QDRANT_API_KEY")
        if status == 404:
            return Missing(said)
        if status == 409:
            return Conflict(said)
        return Refused(said) if status in (400, 413, 422) else StoreUnavailableError(said)


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
    """Why no usable answer came, from what aiohttp, httpx or pydantic raised."""
    name = type(source).__name__
    if "Timeout" in name:
        return f"no answer within {TIMEOUT_SECONDS} s"
    if isinstance(source, ValueError | AssertionError) or name in ("DecodingError", "RemoteProtocolError"):
        return f"the answer is not Qdrant's ({_line(str(source))})"
    return f"cannot be reached ({_line(str(source)) or name})"


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else line[:197] + "..."
