"""The five messages on the wire, and the decoding that lists everything wrong with one.

A well-formed message takes one pass through msgspec. Anything else is read again field by field, so
that its sender learns all its mistakes at once and a null in an optional field counts as absent.
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

MAX_DEPTH = 64
"""Levels of nesting a message may have; deeper ones break the encoders behind us."""

YEARS = (1900, 2200)
"""First and last year a date may lie in."""

M = TypeVar("M", bound="Message")


class InvalidMessageError(ValueError):
    """A message that can never be handled: every reason, and its id as far as it could be read."""

    def __init__(self, errors: list[str], id: uuid.UUID | None = None) -> None:
        super().__init__("; ".join(errors))
        self.errors = errors
        self.id = id


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What all incoming messages share: dates are made aware and checked, whoever builds them."""

    def __post_init__(self) -> None:
        for name in _moments(type(self)):
            value = getattr(self, name)
            if value is not None:
                msgspec.structs.force_setattr(self, name, checked_moment(value))


def session_of(meta: Mapping[str, Any]) -> str | None:
    """The session that an anchor's `meta` names."""
    session = meta.get("session")
    return session if isinstance(session, str) else None


class Anchor(Message, frozen=True, kw_only=True):
    """anchors-write: one memory, immutable once stored. `salience` multiplies its activation."""

    anchor_id: uuid.UUID
    text: Annotated[str, Meta(min_length=1, max_length=10_000)]
    stored_at: datetime
    salience: Annotated[float, Meta(ge=0.3, le=2.5)] = 1.0
    meta: dict[str, Any] = {}

    @property
    def session(self) -> str | None:
        """The session it was said in, where `meta` names one."""
        return session_of(self.meta)


class AnchorIndexed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """anchors-indexed: what became of an anchor. `reason` is one of `REASONS` when not ok."""

    anchor_id: uuid.UUID | None
    ok: bool
    reason: str | None = None
    detail: str | None = None
    errors: list[str] | None = None


IMMUTABLE = "anchor_immutable_violation"
INVALID = "validation_failed"
EMBEDDING_FAILED = "embedding_generation_failed"
STORAGE_FAILED = "qdrant_storage_failed"
REASONS = (IMMUTABLE, INVALID, EMBEDDING_FAILED, STORAGE_FAILED)


class RecallRequest(Message, frozen=True, kw_only=True):
    """recall-request: what to remember. `now` is the moment to remember at; memories younger than
    `min_age_seconds` then do not come back."""

    query: Annotated[str, Meta(min_length=1)]
    request_id: uuid.UUID | None = None
    now: datetime | None = None
    top_k: Annotated[int, Meta(ge=1, le=50)] = 3
    session_id: str | None = None
    ignore_anchor_ids: list[uuid.UUID] = []
    min_age_seconds: Annotated[float, Meta(ge=0)] = 5.0


class Beat(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One recalled memory: its age in words at `now`, its activation on the scale of `memory`, how well it
    matches the query (0..1), when it was said. Workers of earlier versions leave the last two out."""

    anchor_id: uuid.UUID
    text: str
    perceived_age: str
    activation: float
    match: float | None = None
    stored_at: datetime | None = None


class RecallResponse(Message, frozen=True, kw_only=True):
    """recall-response: beats, strongest first; empty when nothing came back."""

    request_id: uuid.UUID
    beats: list[Beat]


class RetellResponse(Message, frozen=True, kw_only=True):
    """retell-response: the story of one recall."""

    request_id: uuid.UUID
    retelling: str


def derived_request_id(topic: str, partition: int, offset: int) -> uuid.UUID:
    """The id of a request that brought none: the same for every delivery of the same record."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"kafka:{topic}/{partition}/{offset}")


def checked_moment(moment: datetime) -> datetime:
    """`moment` with an offset (UTC where it had none). Raises ValueError outside `YEARS`."""
    if not YEARS[0] <= moment.year <= YEARS[1]:
        raise ValueError(f"year {moment.year} is not within {YEARS[0]}..{YEARS[1]}")
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def encode(message: msgspec.Struct) -> bytes:
    """The message as JSON."""
    return msgspec.json.encode(message)


def decode(kind: type[M], data: bytes | None) -> M:
    """`data` as a `kind`. Raises InvalidMessageError with every error found."""
    if not data:
        raise InvalidMessageError(["message: empty, wants a JSON object"])
    try:
        message: M = _decoder(kind).decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _decode_by_field(kind, data)
    if isinstance(message, Anchor) and _too_deep(message.meta):
        raise InvalidMessageError([_depth_error("meta")], message.anchor_id)
    return message


@functools.cache
def _decoder(kind: type[M]) -> msgspec.json.Decoder[M]:
    return msgspec.json.Decoder(kind)


@functools.cache
def _hints(kind: type[msgspec.Struct]) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


@functools.cache
def _moments(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    return tuple(
        name for name, hint in _hints(kind).items() if hint is datetime or datetime in get_args(hint)
    )


def _decode_by_field(kind: type[M], data: bytes) -> M:
    try:
        raw = msgspec.json.decode(data)
    except UnicodeDecodeError:
        raise InvalidMessageError(["message: not UTF-8"]) from None
    except RecursionError:
        raise InvalidMessageError([_depth_error("message")]) from None
    except msgspec.MsgspecError as error:
        raise InvalidMessageError([f"message: {error}"]) from None
    if not isinstance(raw, dict):
        raise InvalidMessageError([f"message: wants a JSON object, got {_name(raw)}"])
    values: dict[str, Any] = {}
    errors = _read_struct(kind, raw, "", values)
    identity = values.get("anchor_id") or values.get("request_id")
    if errors:
        raise InvalidMessageError(errors, identity)
    return kind(**values)


def _read_struct(kind: type[msgspec.Struct], raw: dict[str, Any], at: str, into: dict[str, Any]) -> list[str]:
    errors: list[str] = []
    for field in msgspec.structs.fields(kind):
        where = at + field.encode_name
        value = raw.get(field.encode_name)
        if value is None:
            if field.required:
                given = "got null" if field.encode_name in raw else "missing"
                errors.append(f"{where}: required, {given}")
            continue
        if _too_deep(value):
            errors.append(_depth_error(where))
            continue
        read, problems = _read_value(_hints(kind)[field.name], value, where)
        errors += problems
        if not problems:
            into[field.name] = read
    return errors


def _read_value(hint: Any, value: Any, where: str) -> tuple[Any, list[str]]:
    """The value as its type wants it, and what is wrong with it (lists are read item by item)."""
    if get_origin(hint) is list and isinstance(value, list):
        items, errors = [], []
        for index, item in enumerate(value):
            read, problems = _read_value(get_args(hint)[0], item, f"{where}[{index}]")
            items.append(read)
            errors += problems
        return items, errors
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct) and isinstance(value, dict):
        fields: dict[str, Any] = {}
        errors = _read_struct(hint, value, f"{where}.", fields)
        return (None if errors else hint(**fields)), errors
    try:
        read = msgspec.convert(value, hint)
        return (checked_moment(read) if isinstance(read, datetime) else read), []
    except (msgspec.ValidationError, ValueError) as error:
        return None, [f"{where}: {_lower(str(error).replace(' - at `$`', ''))}"]


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True


def _depth_error(where: str) -> str:
    return f"{where}: nested deeper than {MAX_DEPTH} levels"


def _name(value: Any) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
