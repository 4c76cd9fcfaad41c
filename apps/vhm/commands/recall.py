"""`vhm recall`: ask, see the beats, read the retelling."""

from __future__ import annotations

import sys
import time
import uuid
from datetime import datetime
from pathlib import Path

import msgspec

from vhm import client, local_state
from vhm.client import Client
from vhm.commands import plotting
from vhm.commands.dates import moment, shown
from vhm.commands.output import print_json, print_story, print_table
from vhm.contract import explain as explaining
from vhm.contract.explain import Candidate, Explanation
from vhm.contract.messages import Beat, RecallRequest, RecallResponse, RetellResponse, encode
from vhm.contract.topics import RECALL_REQUEST, RECALL_RESPONSE, RETELL_RESPONSE
from vhm.errors import UserError
from vhm.memory.sentences import line
from vhm.runtime.handler import Outgoing

YOUNGEST_SECONDS = 5.0
"""A memory younger than this is not recalled yet (see `memory`)."""


class Recollection(msgspec.Struct, frozen=True, kw_only=True):
    """What came back for one request."""

    request_id: uuid.UUID
    beats: list[Beat]
    retelling: str


def recall(
    query: str,
    /,
    *,
    top_k: int = 3,
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
        The moment to remember at: 2026-05-01T09:00, "1 May 2026", "2 weeks ago". Now, if not given.
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
    candidates = max(explain, explaining.MAX_CANDIDATES if plot else 1)
    at = moment(now, "--now") if now is not None else None
    if at is not None:
        print(f"remembering at {shown(at)}", file=sys.stderr)
    settings = client.settings()
    if lost := local_state.loss(local_state.folder(), settings.kafka_bootstrap_servers):
        print(f"vhm: {lost}", file=sys.stderr)
    with Client(settings, [RECALL_RESPONSE, RETELL_RESPONSE]) as connection:
        found, why = ask(connection, query, at, top_k, session, candidates, timeout)
        if wait and at is None and why is not None and why.too_young:
            print("a memory is younger than 5 s: waiting for it …", file=sys.stderr)
            time.sleep(YOUNGEST_SECONDS)
            found, why = ask(connection, query, at, top_k, session, candidates, timeout)
    if json:
        print_json(found)
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
        now=now or datetime.now().astimezone(),
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
    if found.beats:
        rows = [(beat.perceived_age, f"{beat.activation:.2f}", beat.text) for beat in found.beats]
        print_table(("age", "activation", "memory"), rows)
        print()
    print_story(found.retelling)


def _show_candidates(candidates: list[Candidate]) -> None:
    columns = ("similarity", "decay", "salience", "activation", "left out because", "memory")
    rows = [
        (
            *(f"{figure:.3f}" for figure in (one.similarity, one.decay, one.salience, one.activation)),
            one.left_out or "",
            one.text,
        )
        for one in candidates
    ]
    print()
    print_table(columns, rows, title="candidates")


def reason(why: Explanation | None, query: str, session: str | None) -> str:
    """Why a recall came back empty, and the command that would find something."""
    again = f"vhm recall '{line(query)}'"
    if why is None:
        return "nothing was recalled, and the worker did not say why"
    if why.total == 0:
        return "nothing was recalled: the store is empty; try `vhm remember TEXT`"
    if why.too_young == why.total:
        return (
            f"nothing was recalled: {_memories(why.too_young)} younger than 5 s, or in the future, at that "
            f"moment; try `{again}` later, or with a later --now"
        )
    if session and why.same_session == why.total:
        return (
            f"nothing was recalled: {_memories(why.same_session)} of session {session!r} itself; "
            f"try `{again}` without --session"
        )
    return f"nothing was recalled: all {why.total} memories were left out; try `{again} --explain 10`"


def _memories(count: int) -> str:
    return "the only memory is" if count == 1 else f"all {count} memories are"
