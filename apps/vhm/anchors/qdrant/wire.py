"""Queries and inserts to a Qdrant server, as bytes: what the client library does for them costs more than
the search, and as much as storing.

A recall asks three times and reads some hundred points. Through the library's models and its HTTP client that
is 6 to 8 ms of a worker's time a recall; here it is 2, and a connection is kept (the library opens a new
one a request where the server is on this machine); of that aiohttp takes 0.2 ms a request, where httpx takes
0.9. A point of 384 numbers costs 71 µs there and 35 here. Everything else goes through the library.
"""

from __future__ import annotations

import urllib.request
import uuid
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
import msgspec
from qdrant_client import models

from vhm.anchors.payload import Content, from_payload
from vhm.anchors.qdrant.requests import Request, batch

PORT = 6333
"""Where an address names none, as the library has it."""

IDLE_SECONDS = 4.0
"""Qdrant closes a connection that nobody used for 5 s."""


class Point(msgspec.Struct, frozen=True):
    """A point as a query returns it; one with a number as its id is another program's."""

    id: int | uuid.UUID
    score: float = 0.0
    payload: msgspec.Raw = msgspec.Raw(b"null")
    vector: list[float] | dict[str, Any] | None = None

    def anchor(self) -> tuple[uuid.UUID, Content] | None:
        """The anchor it is, or None where it is another program's."""
        if isinstance(self.id, int) or (content := self.content()) is None:
            return None
        return self.id, content

    def content(self) -> Content | None:
        """What it remembers, or None where it is no anchor's."""
        try:
            return msgspec.json.decode(self.payload, type=Content)
        except msgspec.ValidationError:
            return from_payload(msgspec.json.decode(self.payload))


class NewPoint(msgspec.Struct, frozen=True):
    """A point to insert; `vector` is the unnamed one alone, or all by name."""

    id: str
    vector: list[float] | dict[str, Any]
    payload: dict[str, Any]


class _Insert(msgspec.Struct):
    points: Sequence[NewPoint]
    update_mode: str = models.UpdateMode.INSERT_ONLY.value


class _Done(msgspec.Struct):
    result: dict[str, Any]


class _Answer(msgspec.Struct):
    points: list[Point]


class _Response(msgspec.Struct):
    result: list[_Answer]


_decoder = msgspec.json.Decoder(_Response)
_done = msgspec.json.Decoder(_Done)


class Wire:
    """Kept connections to one server; to be made while the event loop runs."""

    def __init__(self, url: str, api_key: str | None, timeout_seconds: float) -> None:
        parts = urlsplit(url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        self._base = f"{parts.scheme}://{host}:{parts.port or PORT}{parts.path.rstrip('/')}"
        key = {"api-key": api_key} if api_key else {}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_SECONDS),
            headers={"Content-Type": "application/json", **key},
            # an answer that Qdrant compresses comes in pieces, the last of them 40 ms later
            skip_auto_headers=("Accept-Encoding",),
            timeout=aiohttp.ClientTimeout(total=timeout_seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            # as the library does; left to aiohttp, every request would read the environment again: 0.8 ms
            proxy=_proxy(self._base),
        )

    async def ask(self, collection: str, requests: Sequence[Request]) -> tuple[int, bytes]:
        """The status and body of a batch of queries. Raises OSError, and ValueError for what is not HTTP."""
        return await self._send("POST", f"{_points(collection)}/query/batch", batch(requests))

    async def insert(self, collection: str, points: Sequence[NewPoint]) -> tuple[int, bytes]:
        """The status and body of an insert of points where there is none of that id, waited for. Raises as
        `ask`."""
        return await self._send(
            "PUT", f"{_points(collection)}?wait=true", msgspec.json.encode(_Insert(points))
        )

    async def _send(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        try:
            return await self._sent(method, path, body)
        except (aiohttp.ServerDisconnectedError, ConnectionResetError):
            # closed just when it was to be used again; sent twice, both a query and an insert are as once
            return await self._sent(method, path, body)

    async def _sent(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        try:
            async with self._session.request(
                method, self._base + path, data=body, allow_redirects=False
            ) as response:
                return response.status, await response.read()
        except (aiohttp.ClientResponseError, aiohttp.ClientPayloadError) as error:
            raise ValueError(str(error)) from error

    async def close(self) -> None:
        """Let go of the connections."""
        await self._session.close()


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for it."""
    parts = urlsplit(url)
    if urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    proxies = urllib.request.getproxies()
    return proxies.get(parts.scheme, proxies.get("all"))


def _points(collection: str) -> str:
    return f"/collections/{quote(collection, safe='')}/points"


def points(body: bytes) -> list[list[Point]]:
    """The points of each query of a batch. Raises ValueError for what is no answer to one."""
    try:
        return [answer.points for answer in _decoder.decode(body).result]
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from error


def done(body: bytes) -> None:
    """See that this is what Qdrant says when it has done something. Raises ValueError."""
    try:
        _done.decode(body)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from error
