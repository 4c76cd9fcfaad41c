"""`vhm recall`: ask, see the beats, read the retelling."""

from __future__ import annotations

import sys
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from vhm import client
from vhm.client import Client
from vhm.commands import plotting
from vhm.commands.dates import moment
from vhm.contract import explain as explaining
from vhm.contract.explain import Candidate, Explanation
from vhm.contract.messages import Beat, RecallRequest, RecallResponse, RetellResponse, encode
from vhm.contract.topics import RECALL_REQUEST, RECALL_RESPONSE, RETELL_RESPONSE
from vhm.errors import UserError
from vhm.runtime.handler import Outgoing

MIN_AGE_SECONDS = 5.0
"""A memory younger than this is not recalled yet (see `memory`)."""

REASONS_FROM = 10
"""Candidates asked for with every recall: they say why it is empty, or that it came too early."""


class Recollection(msgspec.Struct, frozen=True, kw_only=True):
    """What came back for one request."""

    request_id: uuid.UUID
    beats: list[Beat]
    retelling: str


def recall(
    query: str,
    /,
    *,
    top_k: int = 5,
    now: str | None = None,
    session: str | None = None,
    json: bool = False,
    explain: int = 0,
    plot: Path | None = None,
    wait: bool = True,
    timeout: float = 60,
) -> int:
    """Ask what is remembered about QUERY, and have it told.

    Parameters
    ----------
    query
        What to remember.
    top_k
        Beats at most, 1 to 50; the worker's RESONANCE_MAX_BEATS bounds it too.
    now
        The moment to remember at: 2026-05-01T09:00, "2 weeks ago". Now, if not given.
    session
        The conversation that asks; memories of it are left out.
    json
        Print one JSON object instead of a table.
    explain
        Show this many candidates with similarity, decay and salience, and why each was left out.
    plot
        Draw the activation of the store's strongest memories against their age, into this .svg or .png.
    wait
        Wait out the five seconds in which a new memory is not recalled yet.
    timeout
        Seconds to wait for an answer.
    """
    if not 1 <= top_k <= 50:
        raise UserError("--top-k: wants a whole number from 1 to 50")
    if not query.strip():
        raise UserError("the query is empty")
    if plot is not None:
        plotting.check(plot)
    candidates = max(explain, explaining.MAX_CANDIDATES if plot else REASONS_FROM)
    at = moment(now, "--now") if now else None
    with Client(client.settings(), [RECALL_RESPONSE, RETELL_RESPONSE]) as connection:
        found, why = ask(connection, query, at, top_k, session, candidates, timeout)
        if wait and at is None and why is not None and _any_too_young(why):
            print("a memory is younger than 5 s: waiting for it …", file=sys.stderr)
            time.sleep(MIN_AGE_SECONDS)
            found, why = ask(connection, query, at, top_k, session, candidates, timeout)
    if json:
        print(msgspec.json.encode(found).decode())
    else:
        show(found)
        if explain and why is not None:
            _show_candidates(why.candidates[:explain])
    if plot is not None and why is not None:
        plotting.draw(plot, query, why.candidates)
    if not found.beats:
        print(f"vhm: {reason(why, query, session)}", file=sys.stderr)
    return 0


def ask(
    connection: Client,
    query: str,
    now: datetime | None,
    top_k: int,
    session: str | None,
    candidates: int,
    timeout: float,
) -> tuple[Recollection, Explanation | None]:
    """Send one request and wait for both its answers. Raises UserError after `timeout` seconds."""
    request = RecallRequest(
        request_id=uuid.uuid4(),
        query=query,
        now=now or datetime.now(UTC),
        top_k=top_k,
        session_id=session,
    )
    key = str(request.request_id).encode()
    headers = ((explaining.HEADER, str(candidates).encode()),)
    connection.send(Outgoing(topic=RECALL_REQUEST, key=key, value=encode(request), headers=headers))
    recalled: RecallResponse | None = None
    retold: RetellResponse | None = None
    why: Explanation | None = None
    for message in connection.answers(timeout):
        if message.key() != key:
            continue
        value = message.value() or b""
        if message.topic() == RECALL_RESPONSE:
            recalled = msgspec.json.decode(value, type=RecallResponse)
            header = dict(message.headers() or ()).get(explaining.HEADER)
            why = msgspec.json.decode(header, type=Explanation) if header else None
        else:
            retold = msgspec.json.decode(value, type=RetellResponse)
        if recalled is not None and retold is not None:
            beats = Recollection(
                request_id=recalled.request_id, beats=recalled.beats, retelling=retold.retelling
            )
            return beats, why
    silent = "resonance" if recalled is None else "the reteller"
    raise UserError(f"no answer from {silent} for {timeout:g} s; is it running and ready?")


def show(found: Recollection) -> None:
    """The beats as a table, then the retelling."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    if found.beats:
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("age", no_wrap=True)
        table.add_column("activation", justify="right")
        table.add_column("memory", overflow="fold")
        for beat in found.beats:
            table.add_row(beat.perceived_age, f"{beat.activation:.2f}", escape(beat.text))
        console.print(table)
        console.print()
    console.print(escape(found.retelling), style="italic")


def _show_candidates(candidates: list[Candidate]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", title="candidates", title_justify="left")
    for title in ("match", "similarity", "decay", "salience", "activation"):
        table.add_column(title, justify="right")
    table.add_column("left out because")
    table.add_column("memory", overflow="fold")
    for one in candidates:
        figures = (one.match, one.similarity, one.decay, one.salience, one.activation)
        table.add_row(*(f"{figure:.3f}" for figure in figures), one.left_out or "", escape(one.text))
    console = Console(highlight=False)
    console.print()
    console.print(table)


def reason(why: Explanation | None, query: str, session: str | None) -> str:
    """Why a recall came back empty, and the command that would find something."""
    again = f"vhm recall '{query}'"
    if why is None:
        return "nothing was recalled, and the worker did not say why"
    if why.memories == 0 and not why.candidates:
        return "nothing was recalled: the store is empty; try `vhm remember TEXT`"
    reasons = {candidate.left_out or "" for candidate in why.candidates}
    if reasons and all(one.startswith(explaining.TOO_YOUNG) for one in reasons):
        return (
            f"nothing was recalled: the memories about that are younger than {MIN_AGE_SECONDS:g} s, or in "
            f"the future, at that moment; try `{again}` later, or with a later --now"
        )
    if session and reasons == {explaining.SAME_SESSION}:
        return (
            f"nothing was recalled: the memories about that are of session {session!r} itself; "
            f"try `{again}` without --session"
        )
    if explaining.NOTHING_RELEVANT in reasons:
        return f"nothing was recalled: {explaining.NOTHING_RELEVANT}; `{again} --explain 10` shows how well"
    return f"nothing was recalled: all memories were left out; try `{again} --explain 10`"


def _any_too_young(why: Explanation) -> bool:
    return any((one.left_out or "").startswith(explaining.TOO_YOUNG) for one in why.candidates)
