"""Ask: a question, its story, its beats, and why these."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from litestar import Request, Response, get
from litestar.params import FromQuery

from vhm.client.fields import checked
from vhm.client.transport import ANSWER_SECONDS
from vhm.contract.messages import RecallRequest
from vhm.contract.rest import BEATS
from vhm.gateway.page.bars import bars
from vhm.gateway.page.plot import plot
from vhm.gateway.page.templates import render
from vhm.gateway.routes.owners import OwnerPath, reader_of
from vhm.gateway.services import services_of

CANDIDATES = 20
"""Candidates that are explained."""


@get("/owners/{owner:str}/ask")
async def ask(
    owner: OwnerPath,
    request: Request[Any, Any, Any],
    question: FromQuery[str] = "",
    k: FromQuery[str] = str(BEATS),
    session: FromQuery[str] = "",
) -> Response[str]:
    """The form, and the answer once there is a question."""
    name = reader_of(request, owner)
    question, session = question.strip(), session.strip()
    found = None
    if question:
        fields = {
            "query": question,
            "top_k": int(k) if k.isdecimal() else k,
            "session_id": session or None,
            "owner": name,
            "now": datetime.now(UTC).astimezone(),
            "min_age_seconds": 0,
        }
        found = await services_of(request).transport.recall(
            checked(RecallRequest, fields), tell=True, explain=CANDIDATES, seconds=ANSWER_SECONDS
        )
    explanation = found.explanation if found is not None else None
    return render(
        request,
        "ask.html",
        owner=name,
        question=question,
        k=k,
        session=session,
        found=found,
        memories=explanation.memories if explanation is not None else None,
        bars=bars(explanation) if explanation is not None else [],
        plot=plot(explanation.candidates) if explanation is not None else None,
    )
