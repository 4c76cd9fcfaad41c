"""The messages on the wire, and the decoding that lists everything wrong with one.

A well-formed message takes one pass through msgspec. Anything else is read again field by field, so
that its sender learns all its mistakes at once and a null in an optional field counts as absent.
"""

from __future__ import annotations

import difflib
import functools
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

MAX_DEPTH = 64
"""Levels of nesting a message may have; deeper ones break the encoders behind us."""

SHOWN_NAME = 80
"""Characters of an unknown field's name that are shown."""

YEARS = (1900, 2200)
"""First and last year a date may lie in."""

Owner = Annotated[str, Meta(pattern=r"^([A-Za-z0-9][A-Za-z0-9._@|~+-]{0,199})?$(?!\n)")]
"""The owner of a memory; "" is one owner, never all of them. (A bare `$` would also match before a final
newline.)"""

Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
"""An integer that both stores can compare."""

Where = Annotated[dict[str, str | Integer | bool], Meta(max_length=8)]
"""Top-level keys of `meta` and the value that each must equal."""

MinAge = Annotated[float, Meta(ge=0, le=3_155_760_000)]
"""Seconds, up to a century: what is subtracted from a date within `YEARS` must leave a date."""

M = TypeVar("M", bound="Message")


class InvalidMessageError(ValueError):
    """A message that can never be handled: every fault, and its id where that could be read."""

    def __init__(self, errors: list[str], id: uuid.UUID | None = None) -> None:
        super().__init__("; ".join(errors))
        self.errors = errors
        self.id = id


class Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all incoming messages share: dates are made aware and checked, whoever builds them.

    The first pass of decoding forbids unknown fields only in order to notice them."""

    strict: ClassVar[bool] = False
    """Whether an unknown field is refused whatever the record's headers say."""

    def __post_init__(self) -> None:
        for name in _moments(type(self)):
            value = getattr(self, name)
            if value is not None:
                msgspec.structs.force_setattr(self, name, checked_moment(value))
        if faults := list(self.faults()):
            raise ValueError("\n".join(faults))

    def faults(self) -> Iterator[str]:
        """What is wrong between fields, one line each."""
        yield from ()


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
    owner: Owner = ""
    supersedes: Annotated[list[uuid.UUID], Meta(max_length=64)] = []
    """Anchors of the same owner that this one replaces in recalls."""
    expires_at: datetime | None = None
    """From then on it is recalled no more, and removed within the hour."""

    def faults(self) -> Iterator[str]:
        """See `Message.faults`."""
        if self.expires_at is not None and self.expires_at <= self.stored_at:
            yield "expires_at: not after stored_at"
        if self.anchor_id in self.supersedes:
            yield "supersedes: names the anchor itself"

    @property
    def session(self) -> str | None:
        """The session it was said in, where `meta` names one."""
        return session_of(self.meta)


class AnchorIndexed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """anchors-indexed: the outcome of an anchor. `reason` is one of `REASONS` when not ok."""

    anchor_id: uuid.UUID | None
    ok: bool
    reason: str | None = None
    detail: str | None = None
    errors: list[str] | None = None


IMMUTABLE = "anchor_immutable_violation"
INVALID = "validation_failed"
EMBEDDING_FAILED = "embedding_generation_failed"
STORAGE_FAILED = "qdrant_storage_failed"
FORGOTTEN = "anchor_forgotten"
REASONS = (IMMUTABLE, INVALID, EMBEDDING_FAILED, STORAGE_FAILED, FORGOTTEN)


class RecallRequest(Message, frozen=True, kw_only=True):
    """recall-request: what to remember. `now` is the moment to remember at.

    `at_least` bounds each beat's match and takes the place of the floor; `since` is inclusive and `until`
    exclusive; memories younger than `min_age_seconds` at `now` are left out."""

    query: Annotated[str, Meta(min_length=1)]
    request_id: uuid.UUID | None = None
    now: datetime | None = None
    top_k: Annotated[int, Meta(ge=1, le=50)] = 3
    session_id: str | None = None
    ignore_anchor_ids: list[uuid.UUID] = []
    owner: Owner = ""
    at_least: Annotated[float, Meta(ge=0, le=1)] | None = None
    since: datetime | None = None
    until: datetime | None = None
    where: Where = {}
    min_age_seconds: MinAge = 5.0

    def faults(self) -> Iterator[str]:
        """See `Message.faults`."""
        if self.since is not None and self.until is not None and self.until <= self.since:
            yield "until: not after since"


class Beat(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One recalled memory: its age in words at `now`, its activation on the scale of `memory`.

    `meta_left_out` says that its meta is too large for an answer."""

    anchor_id: uuid.UUID
    text: str
    perceived_age: str
    activation: float
    match: float | None = None
    stored_at: datetime | None = None
    meta: dict[str, Any] | None = None
    meta_left_out: bool = False


class RecallResponse(Message, frozen=True, kw_only=True, omit_defaults=True):
    """recall-response: beats, strongest first; empty when nothing came back. `error` says why a request
    whose id could be read was refused."""

    request_id: uuid.UUID
    beats: list[Beat]
    owner: Owner = ""
    error: str | None = None


class AnchorsForget(Message, frozen=True, kw_only=True):
    """anchors-forget: what to forget of one owner, by exactly one of four bounds. `before` is exclusive."""

    strict: ClassVar[bool] = True
    owner: Owner
    request_id: uuid.UUID | None = None
    anchor_ids: Annotated[list[uuid.UUID], Meta(min_length=1, max_length=1_000)] | None = None
    session: Annotated[str, Meta(min_length=1)] | None = None
    before: datetime | None = None
    everything: Literal[True] | None = None

    def faults(self) -> Iterator[str]:
        """See `Message.faults`."""
        bounds = ("anchor_ids", "session", "before", "everything")
        given = [name for name in bounds if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            yield f"message: expected exactly one of {', '.join(bounds)}, got {found}"


class AnchorsForgotten(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """anchors-forgotten: how many memories are gone, or why nothing was done."""

    request_id: uuid.UUID | None
    owner: str | None = None
    forgotten: int | None = None
    errors: list[str] | None = None


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


def decode(kind: type[M], data: bytes | None, *, strict: bool = False) -> M:
    """`data` as a `kind`. Raises InvalidMessageError with every error found."""
    return decode_noting_unknown(kind, data, strict=strict)[0]


def decode_noting_unknown(
    kind: type[M], data: bytes | None, *, strict: bool = False
) -> tuple[M, tuple[str, ...]]:
    """`data` as a `kind`, and the names of fields that it has beyond those of `kind`.

    With `strict` such a field is an error. Raises InvalidMessageError with every error found."""
    if not data:
        raise InvalidMessageError(["message: empty, expected a JSON object"])
    try:
        message: M = _decoder(kind).decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _decode_by_field(kind, data, strict or kind.strict)
    if isinstance(message, Anchor) and _too_deep(message.meta):
        raise InvalidMessageError([_depth_error("meta")], message.anchor_id)
    return message, ()


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


def _decode_by_field(kind: type[M], data: bytes, strict: bool) -> tuple[M, tuple[str, ...]]:
    try:
        raw = msgspec.json.decode(data)
    except UnicodeDecodeError:
        raise InvalidMessageError(["message: not UTF-8"]) from None
    except RecursionError:
        raise InvalidMessageError([_depth_error("message")]) from None
    except msgspec.MsgspecError as error:
        raise InvalidMessageError([f"message: {error}"]) from None
    if not isinstance(raw, dict):
        raise InvalidMessageError([f"message: expected a JSON object, got {_name(raw)}"])
    values: dict[str, Any] = {}
    errors = _read_struct(kind, raw, "", values)
    identity = values.get("anchor_id") or values.get("request_id")
    known = [field.encode_name for field in msgspec.structs.fields(kind)]
    unknown = tuple(name[:SHOWN_NAME] for name in raw if name not in known)
    if strict:
        errors += [_unknown_error(name, known) for name in unknown]
    if errors:
        raise InvalidMessageError(errors, identity)
    try:
        return kind(**values), unknown
    except ValueError as error:
        raise InvalidMessageError(str(error).split("\n"), identity) from None


def _unknown_error(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"{name[:SHOWN_NAME]}: unknown field" + (f", did you mean {near[0]}?" if near else "")


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
    """The value converted to its type, and its faults (a list is read item by item)."""
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
