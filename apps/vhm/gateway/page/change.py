"""Change: add a memory, let it take another's place, forget after a confirmation that says what goes."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import FromQuery
from litestar.response import Redirect

from vhm.client.errors import Refused, Unavailable
from vhm.client.fields import anchor_of, checked
from vhm.client.results import Receipt
from vhm.client.transport import ANSWER_SECONDS, Listing
from vhm.contract.messages import AnchorsForget
from vhm.contract.rest import StoredAnchor
from vhm.gateway.page.admission import form_of
from vhm.gateway.page.look import find
from vhm.gateway.page.templates import path_of, render
from vhm.gateway.problems import ProblemError
from vhm.gateway.routes.owners import OwnerPath, writer_of
from vhm.gateway.services import services_of

STORE_SECONDS = 10.0
"""Longest wait for a new memory's receipt; then its page says that it is on its way."""

SHOWN = 5
"""Memories that a confirmation shows."""

COUNTED = 1_000
"""Memories that a confirmation counts."""


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of the form for a new memory."""

    text: str = ""
    at: str = ""
    speaker: str = ""
    session: str = ""
    salience: str = "1"
    expires: str = ""
    supersedes: str = ""

    def fields(self) -> dict[str, Any]:
        """The fields of an anchor. Raises Refused with every fault."""
        faults: list[str] = []
        moments = {}
        for name, text in (("stored_at", self.at), ("expires_at", self.expires)):
            try:
                moments[name] = datetime.fromisoformat(text).astimezone() if text else None
            except ValueError:
                faults.append(f"{name}: expected a date and a time as 2026-05-01T09:00")
        try:
            salience = float(self.salience)
        except ValueError:
            faults.append("salience: expected a number")
        if faults:
            raise Refused(faults)
        return {
            "text": self.text.replace("\r\n", "\n"),
            "salience": salience,
            "session": self.session or None,
            "speaker": self.speaker or None,
            "meta": {},
            "supersedes": [self.supersedes] if self.supersedes else [],
            **moments,
        }


@get("/owners/{owner:str}/add")
async def draft(
    owner: OwnerPath, request: Request[Any, Any, Any], supersedes: FromQuery[str] = ""
) -> Response[str]:
    """The form for a new memory, which may take another's place."""
    name = writer_of(request, owner)
    older = await _older(request, name, supersedes)
    said = older.meta if older is not None else {}
    filled = Draft(
        speaker=str(said.get("speaker", "")), session=str(said.get("session", "")), supersedes=supersedes
    )
    return render(request, "add.html", owner=name, draft=filled, older=older, faults=[])


@post("/owners/{owner:str}/add")
async def add(owner: OwnerPath, request: Request[Any, Any, Any]) -> Response[str] | Redirect:
    """Store a memory."""
    name = writer_of(request, owner)
    services = services_of(request)
    services.check_lag()
    written = msgspec.convert(await form_of(request), Draft)
    older = await _older(request, name, written.supersedes)
    try:
        anchor = anchor_of(name, written.fields())
        pending = await services.transport.remember(anchor, filled=not written.at)
        await pending.accepted()
        stored = await _stored(pending.wait(STORE_SECONDS))
    except Refused as refused:
        return render(
            request, "add.html", status=400, owner=name, draft=written, older=older, faults=refused.faults
        )
    query = "stored=true" if stored else "stored=false"
    return Redirect(f"{path_of(name)}/memories/{anchor.anchor_id}?{query}", status_code=303)


@get("/owners/{owner:str}/forget")
async def confirm(
    owner: OwnerPath,
    request: Request[Any, Any, Any],
    id: FromQuery[str] = "",
    session: FromQuery[str] = "",
    before: FromQuery[str] = "",
    everything: FromQuery[bool] = False,
) -> Response[str]:
    """What a forget would remove."""
    name = writer_of(request, owner)
    fields = {"id": id, "session": session, "before": before, "everything": "true" if everything else ""}
    bound = _bound(name, {field: value for field, value in fields.items() if value})
    doomed = await _doomed(request, name, bound)
    return render(
        request,
        "forget.html",
        owner=name,
        fields=fields,
        bound=bound,
        doomed=doomed[:SHOWN],
        count=len(doomed),
        more=len(doomed) == COUNTED,
        retention_hours=services_of(request).retention_hours,
    )


@post("/owners/{owner:str}/forget")
async def forget(owner: OwnerPath, request: Request[Any, Any, Any]) -> Redirect:
    """Forget what was confirmed."""
    name = writer_of(request, owner)
    bound = _bound(name, await form_of(request))
    count = await services_of(request).transport.forget(bound, seconds=ANSWER_SECONDS)
    return Redirect(f"{path_of(name)}?forgot={count}", status_code=303)


def _bound(owner: str, fields: Mapping[str, str]) -> AnchorsForget:
    """The bound of a forget, from a form or a query string. Raises Refused for one that is not understood: it
    forgets nothing."""
    fields = dict(fields)
    asked: dict[str, Any] = {"owner": owner}
    if "id" in fields:
        asked["anchor_ids"] = [fields.pop("id")]
    if "session" in fields:
        asked["session"] = fields.pop("session")
    if "before" in fields:
        try:
            asked["before"] = datetime.fromisoformat(fields.pop("before")).astimezone()
        except ValueError:
            raise Refused(["before: expected a day as 2026-05-01"]) from None
    if fields.pop("everything", "") == "true":
        asked["everything"] = True
    if fields:
        raise Refused([f"{name}: unknown field" for name in fields])
    return checked(AnchorsForget, asked)


async def _doomed(request: Request[Any, Any, Any], owner: str, bound: AnchorsForget) -> list[StoredAnchor]:
    if bound.anchor_ids is not None:
        found = await find(request, owner, str(bound.anchor_ids[0]))
        if found is None:
            raise ProblemError(404, "no such memory")
        return [found]
    where = {} if bound.session is None else {"session": bound.session}
    listing = Listing(owner=owner, where=where, until=bound.before, limit=COUNTED)
    return (await services_of(request).transport.page(listing)).memories


async def _older(request: Request[Any, Any, Any], owner: str, anchor_id: str) -> StoredAnchor | None:
    if not anchor_id:
        return None
    found = await find(request, owner, anchor_id)
    if found is None:
        raise ProblemError(404, "no such memory to take the place of")
    return found


async def _stored(receipt: Awaitable[Receipt]) -> bool:
    try:
        await receipt
    except Unavailable:
        return False
    return True
