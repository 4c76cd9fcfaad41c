"""Health: the workers' states, their lag, and their dead letters. For keys to every memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Request, Response, get

from vhm.client.errors import Unavailable
from vhm.gateway.page.templates import render
from vhm.gateway.problems import ProblemError
from vhm.gateway.services import services_of
from vhm.gateway.system_health import WorkerState
from vhm.runtime.dead_letters import admin
from vhm.runtime.dead_letters.admin import DeadLetter


@get("/workers")
async def workers(request: Request[Any, Any, Any]) -> Response[str]:
    """The workers and the dead letters; what Kafka cannot tell now is said."""
    if request.user.owner is not None:
        raise ProblemError(403, "the key does not open every memory")
    system = services_of(request).health
    if system is None:
        raise ProblemError(503, "this gateway does not know its workers")
    troubles: list[str] = []
    states: Sequence[WorkerState] = ()
    letters: Sequence[DeadLetter] = ()
    try:
        states = await system.workers()
    except Unavailable as error:
        troubles.append(str(error))
    try:
        letters = await system.dead_letters()
    except Unavailable as error:
        troubles.append(str(error))
    return render(
        request,
        "workers.html",
        states=states,
        letters=letters,
        payload=admin.payload,
        counts=admin.counts(letters),
        troubles=troubles,
    )
