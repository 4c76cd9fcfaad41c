"""/v1/owners/{owner}/memories and what belongs to it: remember, list, show, forget, export."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, delete, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, HeaderParameter, QueryParameter
from litestar.response import Stream

from vhm.client.errors import Refused, Unavailable
from vhm.client.fields import anchor_of, checked
from vhm.client.kafka import record_of
from vhm.client.transport import ANSWER_SECONDS, PAGE_SIZE, Listing, Pending, Transport
from vhm.contract.messages import Anchor, AnchorsForget, Where
from vhm.contract.rest import Forgotten, Memories, MemoryReceipt, NewMemory, Receipts, StoredAnchor
from vhm.gateway.problems import RETRY_SECONDS, ProblemError
from vhm.gateway.routes.bodies import TakesMemories, read_list
from vhm.gateway.routes.owners import RESPONSES, OwnerPath, reader_of, writer_of
from vhm.gateway.services import services_of

WAIT_SECONDS = 20.0
"""How long `Prefer: wait` waits for the receipts; then the memories are accepted all the same."""

MOST_A_PAGE = 1_000

STORED = {200: ResponseSpec(Receipts, generate_examples=False, description="stored, or why not")}


@post("/memories", operation_class=TakesMemories, status_code=202, responses=RESPONSES | STORED)
async def remember(
    owner: OwnerPath,
    request: Request[Any, Any, Any],
    prefer: Annotated[str | None, HeaderParameter(name="Prefer", description="`wait`: until stored")] = None,
) -> Response[Receipts]:
    """Store one memory or a list of them. 202: they cannot be lost any more; 200, with `Prefer: wait`: they
    are stored, or a receipt says why not."""
    name = writer_of(request, owner)
    services = services_of(request)
    memories = await read_list(request, NewMemory)
    services.charge(request.user, len(memories) - 1)
    services.check_lag()
    anchors = _anchors(name, memories)
    filled = [memory.stored_at is None for memory in memories]
    handed = await _hand_over(services.transport, anchors, filled)
    if not _waits(prefer):
        taken = [MemoryReceipt(anchor_id=pending.anchor_id) for pending in handed]
        return Response(Receipts(receipts=taken), status_code=202)
    receipts = await asyncio.gather(*map(_receipt, handed))
    status = 200 if all(receipt.ok is not None for receipt in receipts) else 202
    return Response(Receipts(receipts=list(receipts)), status_code=status)


@get("/memories", responses=RESPONSES)
async def memories(
    owner: OwnerPath,
    request: Request[Any, Any, Any],
    since: FromQuery[datetime | None] = None,
    until: FromQuery[datetime | None] = None,
    where: Annotated[
        str | None, QueryParameter(description="a JSON object: keys of meta and their values")
    ] = None,
    text: Annotated[str, QueryParameter(description="a part of the text, letter for letter")] = "",
    cursor: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=MOST_A_PAGE)] = PAGE_SIZE,
) -> Memories:
    """Memories, newest first, from `since` on and before `until`."""
    listing = Listing(
        owner=reader_of(request, owner),
        since=since,
        until=until,
        where=_where(where),
        text=text,
        cursor=cursor,
        limit=limit,
    )
    return await services_of(request).transport.page(listing)


@get("/memories/{anchor_id:str}", responses=RESPONSES)
async def memory(owner: OwnerPath, anchor_id: FromPath[str], request: Request[Any, Any, Any]) -> StoredAnchor:
    """One memory."""
    name = reader_of(request, owner)
    found = await services_of(request).transport.get(name, _identity(anchor_id))
    if found is None:
        raise ProblemError(404, "no such memory")
    return found


@delete("/memories/{anchor_id:str}", status_code=200, responses=RESPONSES)
async def forget_one(
    owner: OwnerPath, anchor_id: FromPath[str], request: Request[Any, Any, Any]
) -> Forgotten:
    """Forget one memory; 0 when there is none of that id."""
    return await _forget(request, writer_of(request, owner), anchor_ids=[_identity(anchor_id)])


@delete("/sessions/{session:path}", status_code=200, responses=RESPONSES)
async def forget_session(
    owner: OwnerPath, session: FromPath[str], request: Request[Any, Any, Any]
) -> Forgotten:
    """Forget what was said in a session."""
    return await _forget(request, writer_of(request, owner), session=str(session).removeprefix("/"))


@delete("/memories", status_code=200, responses=RESPONSES)
async def forget_before(
    owner: OwnerPath, request: Request[Any, Any, Any], before: FromQuery[datetime]
) -> Forgotten:
    """Forget what was said before a moment."""
    return await _forget(request, writer_of(request, owner), before=before)


@delete("/", status_code=200, responses=RESPONSES)
async def forget_everything(
    owner: OwnerPath,
    request: Request[Any, Any, Any],
    everything: Annotated[bool, QueryParameter(description="must be true")],
) -> Forgotten:
    """Forget all that this owner remembers."""
    if not everything:
        raise ProblemError(400, "to forget everything, say everything=true")
    return await _forget(request, writer_of(request, owner), everything=True)


@get("/export", responses=RESPONSES, media_type="application/x-ndjson")
async def export(owner: OwnerPath, request: Request[Any, Any, Any]) -> Stream:
    """All memories, one a line, as `vhm remember --file` takes them."""
    listing = Listing(owner=reader_of(request, owner), limit=MOST_A_PAGE)
    # before the first byte, so that a store out of reach is a 503
    transport = services_of(request).transport
    first = await transport.page(listing)
    return Stream(_lines(transport, listing, first), media_type="application/x-ndjson")


async def _lines(transport: Transport, listing: Listing, page: Memories) -> AsyncIterator[bytes]:
    while True:
        yield b"".join(msgspec.json.encode(stored.anchor) + b"\n" for stored in page.memories)
        if page.next is None:
            return
        page = await transport.page(msgspec.structs.replace(listing, cursor=page.next))


async def _hand_over(
    transport: Transport, anchors: Sequence[Anchor], filled: Sequence[bool]
) -> list[Pending]:
    """Return when the broker has all of them. Raises ProblemError that names those it has."""
    handed: list[Pending] = []
    failures: list[BaseException] = []
    try:
        for anchor, is_filled in zip(anchors, filled, strict=True):
            handed.append(await transport.remember(anchor, filled=is_filled))
    except Unavailable as error:
        failures.append(error)
    outcomes = await asyncio.gather(*(pending.accepted() for pending in handed), return_exceptions=True)
    failures += [outcome for outcome in outcomes if outcome is not None]
    for failure in failures:
        if not isinstance(failure, Unavailable):
            raise failure
    if failures:
        taken = [
            pending.anchor_id for pending, outcome in zip(handed, outcomes, strict=True) if outcome is None
        ]
        raise ProblemError(503, str(failures[0]), ids=taken, headers={"Retry-After": str(RETRY_SECONDS)})
    return handed


async def _receipt(pending: Pending) -> MemoryReceipt:
    try:
        await pending.wait(WAIT_SECONDS)
    except Refused as refused:
        return MemoryReceipt(anchor_id=pending.anchor_id, ok=False, faults=list(refused.faults))
    except Unavailable:
        return MemoryReceipt(anchor_id=pending.anchor_id)
    return MemoryReceipt(anchor_id=pending.anchor_id, ok=True)


def _anchors(owner: str, memories: Sequence[NewMemory]) -> list[Anchor]:
    """All of them, before the first is handed over. Raises Refused with every fault, TooLarge."""
    anchors: list[Anchor] = []
    faults: list[str] = []
    for number, memory in enumerate(memories):
        try:
            anchors.append(anchor_of(owner, msgspec.structs.asdict(memory)))
        except Refused as refused:
            at = f"[{number}]." if len(memories) > 1 else ""
            faults += [at + fault for fault in refused.faults]
    if faults:
        raise Refused(faults)
    for anchor in anchors:
        record_of(anchor)
    return anchors


async def _forget(request: Request[Any, Any, Any], owner: str, **bound: object) -> Forgotten:
    forget = checked(AnchorsForget, {"owner": owner, **bound})
    transport = services_of(request).transport
    return Forgotten(forgotten=await transport.forget(forget, seconds=ANSWER_SECONDS))


def _identity(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise ProblemError(404, "no such memory") from None


def _where(text: str | None) -> Where:
    if text is None:
        return {}
    try:
        return msgspec.json.decode(text, type=Where)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Refused([f"where: expected a JSON object of strings, integers and booleans: {error}"]) from None


def _waits(prefer: str | None) -> bool:
    """Whether a Prefer header (RFC 7240) asks to wait."""
    words = (part.partition("=")[0].strip().lower() for part in (prefer or "").split(","))
    return "wait" in words


ROUTES = Router(
    "/",
    route_handlers=[
        remember,
        memories,
        memory,
        forget_one,
        forget_session,
        forget_before,
        forget_everything,
        export,
    ],
)
