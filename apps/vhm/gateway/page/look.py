"""Look: an owner's memories on a time line, one memory, and whose memories there are."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
from litestar import Request, Response, get
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Redirect

from vhm.client.transport import Listing
from vhm.contract.messages import Where
from vhm.contract.rest import StoredAnchor
from vhm.gateway.page.templates import path_of, render
from vhm.gateway.problems import ProblemError
from vhm.gateway.routes.owners import OwnerPath, reader_of
from vhm.gateway.services import services_of

PAGE_SIZE = 50

LONG_TEXT = 600
"""Characters of a text that the time line shows."""


class Filters(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The filters of the time line, as its form has them; the last day is included."""

    text: str = ""
    since: str = ""
    until: str = ""
    session: str = ""
    speaker: str = ""

    def listing(self, owner: str, cursor: str | None) -> Listing:
        """The listing that passes the filters. Raises ProblemError."""
        last = _day(self.until, "to")
        where: Where = {
            name: value for name, value in (("session", self.session), ("speaker", self.speaker)) if value
        }
        return Listing(
            owner=owner,
            since=_midnight(_day(self.since, "from")),
            until=_midnight(last + timedelta(days=1)) if last is not None else None,
            where=where,
            text=self.text,
            cursor=cursor,
            limit=PAGE_SIZE,
        )

    @property
    def query(self) -> str:
        """The filters as a query string."""
        return urlencode(msgspec.to_builtins(self))


class Day(msgspec.Struct, frozen=True):
    """The memories of one day, newest first."""

    moment: datetime
    memories: Sequence[StoredAnchor]


@get("/")
async def start(request: Request[Any, Any, Any]) -> Redirect:
    """Redirects to the memory that a key opens, or to the list of owners."""
    if request.user.owner is not None:
        return Redirect(path_of(request.user.owner), status_code=303)
    owners = await services_of(request).transport.owners()
    return Redirect(path_of(owners[0] if owners else "") if len(owners) < 2 else "/owners", status_code=303)


@get("/owners")
async def owners(request: Request[Any, Any, Any]) -> Response[str]:
    """The owners that have memories; for keys to every memory."""
    if request.user.owner is not None:
        raise ProblemError(403, "the key does not open every memory")
    names = await services_of(request).transport.owners()
    return render(request, "owners.html", owners=names)


@get("/owners/{owner:str}")
async def time_line(
    owner: OwnerPath,
    request: Request[Any, Any, Any],
    text: FromQuery[str] = "",
    since: FromQuery[str] = "",
    until: FromQuery[str] = "",
    session: FromQuery[str] = "",
    speaker: FromQuery[str] = "",
    cursor: FromQuery[str | None] = None,
    forgot: Annotated[int | None, QueryParameter(ge=0)] = None,
) -> Response[str]:
    """Memories, newest first."""
    name = reader_of(request, owner)
    filters = Filters(
        text=text.strip(), since=since, until=until, session=session.strip(), speaker=speaker.strip()
    )
    page = await services_of(request).transport.page(filters.listing(name, cursor or None))
    older = None if page.next is None else urlencode(msgspec.to_builtins(filters) | {"cursor": page.next})
    return render(
        request,
        "look.html",
        owner=name,
        days=days(page.memories),
        filters=filters,
        older=older,
        newest=cursor is None,
        forgot=forgot,
        long_text=LONG_TEXT,
    )


@get("/owners/{owner:str}/memories/{anchor_id:str}")
async def memory(
    owner: OwnerPath,
    anchor_id: FromPath[str],
    request: Request[Any, Any, Any],
    stored: FromQuery[bool | None] = None,
) -> Response[str]:
    """One memory, all of it. `stored`: it was just written, and is in the store or on its way there."""
    name = reader_of(request, owner)
    found = await find(request, name, anchor_id)
    if found is None and stored is None:
        raise ProblemError(404, "no such memory")
    return render(request, "memory.html", owner=name, memory=found, stored=stored)


async def find(request: Request[Any, Any, Any], owner: str, anchor_id: str) -> StoredAnchor | None:
    """The memory of that id, if `owner` has it."""
    try:
        return await services_of(request).transport.get(owner, uuid.UUID(anchor_id))
    except ValueError:
        return None


def days(memories: Sequence[StoredAnchor]) -> list[Day]:
    """Memories by the days they were said on, in the zone of this machine."""
    grouped = groupby(memories, lambda memory: memory.stored_at.astimezone().date())
    return [Day(found[0].stored_at, found) for found in (list(group) for _, group in grouped)]


def _day(text: str, field: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ProblemError(
            400, "the filter is not valid", faults=[f"{field}: expected a day as 2026-05-01"]
        ) from None


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime(day.year, day.month, day.day).astimezone()
