"""Queries and inserts to a Qdrant server, as bytes: what the client library does for them costs more than
the search, and as much as storing.

A recall asks three times and reads some hundred points. Through the library's models and its HTTP client that
is 6 to 8 ms of a worker's time a recall; here it is 2, and a connection is kept (the library opens a new
one a request where the server is on this machine). A point of 384 numbers costs 71 µs there and 35 here.
Everything else goes through the library.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import msgspec
from qdrant_client import models

from vhm.anchors.lines import Lines
from vhm.anchors.payload import Content, from_payload


class Point(msgspec.Struct, frozen=True):
    """A point as a query returns it."""

    id: int | str
    score: float = 0.0
    payload: msgspec.Raw = msgspec.Raw(b"null")
    vector: list[float] | dict[str, Any] | None = None

    def content(self) -> Content | None:
        """The anchor it is, or None where it is another program's."""
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
    """Kept connections to one server."""

    def __init__(self, url: str, api_key: str | None, timeout_seconds: float) -> None:
        key = {"api-key": api_key} if api_key else {}
        self._lines = Lines(url, {"Content-Type": "application/json", **key}, timeout_seconds)

    async def ask(self, collection: str, requests: Sequence[models.QueryRequest]) -> tuple[int, bytes]:
        """The status and body of a batch of queries. Raises as `Lines.send`."""
        batch = models.QueryRequestBatch.model_construct(searches=list(requests))
        body = batch.model_dump_json(exclude_none=True).encode()
        return await self._lines.send("POST", f"{_points(collection)}/query/batch", body)

    async def insert(self, collection: str, points: Sequence[NewPoint]) -> tuple[int, bytes]:
        """The status and body of an insert of points where there is none of that id, waited for. Raises as
        `Lines.send`."""
        body = msgspec.json.encode(_Insert(points))
        return await self._lines.send("PUT", f"{_points(collection)}?wait=true", body)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._lines.close()


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
