"""Request bodies: read with every fault, and described in the schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar, cast

import msgspec
from litestar import Request
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema

from vhm.contract.messages import InvalidMessageError, Message, decode
from vhm.contract.rest import NewMemory, RecallQuestion
from vhm.gateway.problems import ProblemError

M = TypeVar("M", bound=Message)

MOST_MEMORIES = 1_000
"""Memories in one request."""


async def read_one(request: Request[Any, Any, Any], kind: type[M]) -> M:
    """The body as a `kind`; unknown fields are faults. Raises ProblemError, InvalidMessageError."""
    return decode(kind, await _json(request), strict=True)


async def read_list(request: Request[Any, Any, Any], kind: type[M]) -> list[M]:
    """The body as one `kind`, or as a list of them. Raises ProblemError, InvalidMessageError."""
    body = await _json(request)
    if not body.lstrip().startswith(b"["):
        return [decode(kind, body, strict=True)]
    try:
        items = msgspec.json.decode(body, type=list[msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidMessageError([f"message: {error}"]) from None
    if not 1 <= len(items) <= MOST_MEMORIES:
        raise InvalidMessageError([f"message: expected 1 to {MOST_MEMORIES} memories, got {len(items)}"])
    found: list[M] = []
    faults: list[str] = []
    for number, item in enumerate(items):
        try:
            found.append(decode(kind, bytes(item), strict=True))
        except InvalidMessageError as error:
            faults += [f"[{number}].{fault}" for fault in error.errors]
    if faults:
        raise InvalidMessageError(faults)
    return found


async def _json(request: Request[Any, Any, Any]) -> bytes:
    # a browser sends other types across origins without asking first
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json":
        raise ProblemError(415, f"expected a body of application/json, got {media[:80] or 'no type'}")
    return await request.body()


def _schema(kind: type[msgspec.Struct]) -> dict[str, Any]:
    _, schemas = msgspec.json.schema_components((kind,))
    schema: dict[str, Any] = schemas[kind.__name__]
    return schema


def _body(schema: dict[str, Any]) -> RequestBody:
    # Litestar writes what is a dict already as it is
    media = OpenAPIMediaType(schema=cast("Schema", schema))
    return RequestBody(content={"application/json": media}, required=True)


@dataclass
class TakesMemories(Operation):
    """An operation whose body is one memory or a list of them."""

    def __post_init__(self) -> None:
        one = _schema(NewMemory)
        many = {"type": "array", "items": one, "minItems": 1, "maxItems": MOST_MEMORIES}
        self.request_body = _body({"oneOf": [one, many]})


@dataclass
class TakesQuestion(Operation):
    """An operation whose body is a question."""

    def __post_init__(self) -> None:
        self.request_body = _body(_schema(RecallQuestion))
