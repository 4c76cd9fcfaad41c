"""The Qdrant client, with every way it can fail told in one line."""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import urlsplit

from qdrant_client import AsyncQdrantClient
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

from vhm.anchors.types import StoreUnavailable
from vhm.contract.environment import Secret

TIMEOUT_SECONDS = 5
LOCAL = "local:"

T = TypeVar("T")
Request = Callable[[AsyncQdrantClient], Coroutine[Any, Any, T]]


class Missing(StoreUnavailable):
    """There is no such collection (or no Qdrant behind that path)."""


class Conflict(StoreUnavailable):
    """It exists already."""


class Refused(Exception):
    """Qdrant understood the request and will not do it (400, 413, 422). One line."""


class Connection:
    """One AsyncQdrantClient. The client's local mode works on the event loop and on a file that only
    one thread may touch, so there each call is driven to its end on a thread of its own, one by one."""

    def __init__(self, url: str, api_key: Secret | None = None) -> None:
        self.local = url.startswith(LOCAL)
        self.where = f"the embedded store in {url.removeprefix(LOCAL)}" if self.local else _address(url)
        self._url = url
        self._api_key = api_key
        self._thread = ThreadPoolExecutor(1, "qdrant-local") if self.local else None
        self._client: AsyncQdrantClient | None = None

    async def call(self, request: Request[T]) -> T:
        """The answer to `request(client)`. Raises StoreUnavailable, Missing, Conflict or Refused."""
        try:
            if self._thread is None:
                return await request(self._opened())
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, lambda: asyncio.run(request(self._opened())))
        except (
            ApiException,
            QdrantException,
            AssertionError,  # the client's way to say that an answer held no result
            OSError,
            ValueError,
            RuntimeError,
        ) as error:
            raise self._told(error) from error

    async def close(self) -> None:
        """Let go of sockets, files and the thread."""
        client, self._client = self._client, None
        if client is not None and self._thread is None:
            await client.close()
        elif client is not None and self._thread is not None:
            loop, closing = asyncio.get_running_loop(), client.close
            await loop.run_in_executor(self._thread, lambda: asyncio.run(closing()))
        if self._thread is not None:
            self._thread.shutdown()

    def _opened(self) -> AsyncQdrantClient:
        if self._client is None:
            self._client = self._local_client() if self.local else self._server_client()
        return self._client

    def _local_client(self) -> AsyncQdrantClient:
        path = self._url.removeprefix(LOCAL)
        return AsyncQdrantClient(":memory:") if path == ":memory:" else AsyncQdrantClient(path=path)

    def _server_client(self) -> AsyncQdrantClient:
        with warnings.catch_warnings():
            # a key over http inside a cluster is the operator's choice, told by the settings
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
            return StoreUnavailable(f"{self.where}: {_trouble(error.source)}")
        if self.local and isinstance(error, ValueError):
            said = f"{self.where}: {_line(str(error))}"
            if "already exists" in said:
                return Conflict(said)
            return Missing(said) if "not found" in said else Refused(said)
        if self.local and "already accessed" in str(error):
            return StoreUnavailable(f"{self.where} is in use by another process: stop that one first")
        return StoreUnavailable(f"{self.where}: {_trouble(error)}")

    def _answered(self, status: int, content: bytes) -> Exception:
        said = f"{self.where} answers {status}: {_reason(content)}"
        if status in (401, 403):
            return StoreUnavailable(f"{said}; check QDRANT_API_KEY")
        if status == 404:
            return Missing(said)
        if status == 409:
            return Conflict(said)
        return Refused(said) if status in (400, 413, 422) else StoreUnavailable(said)


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
