"""`vhm recall`: ask, see the beats, read the retelling."""

from __future__ import annotations

import os
import sys
import uuid
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from vhm import Memory, local_state
from vhm.client.results import Recollection
from vhm.commands import plotting
from vhm.commands.dates import optional, shown
from vhm.commands.output import print_json, print_story, print_table
from vhm.contract import explain as explaining
from vhm.contract.explain import Candidate, Explanation
from vhm.contract.messages import Beat
from vhm.contract.rest import BEATS
from vhm.errors import UserError
from vhm.memory.sentences import line

REASONS_FROM = 10
"""Candidates asked for with every recall: they say why it is empty, or bounded."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` prints."""

    request_id: uuid.UUID
    beats: list[Beat]
    retelling: str


def recall(
    query: str,
    /,
    *more: str,
    owner: str = "",
    top_k: int = BEATS,
    now: str | None = None,
    session: str | None = None,
    since: str | None = None,
    until: str | None = None,
    where: Annotated[list[str] | None, Parameter(negative="", consume_multiple=False)] = None,
    at_least: float | None = None,
    json: bool = False,
    explain: int = 0,
    plot: Path | None = None,
    url: str | None = None,
    timeout: float = 60,
) -> int:
    """Ask what is remembered about QUERY, and have it told.

    Parameters
    ----------
    query
        What to remember, in quotes.
    more
        Not used: a query of several words stands in quotes.
    owner
        Whose memory to ask.
    top_k
        Beats at most, 1 to 50; the worker's RESONANCE_MAX_BEATS bounds it too.
    now
        The moment to remember at: 2026-05-01T09:00, "1 May 2026", "2 weeks ago". Now, if not given.
    session
        The conversation that asks; memories of it are left out.
    since
        Only what was said from then on.
    until
        Only what was said before.
    where
        Only what has this in its meta, as KEY=VALUE; may be given several times.
    at_least
        Only beats that match as well as that, 0 to 1.
    json
        Print one JSON object instead of a table.
    explain
        Show this many candidates with match, decay and salience, and why each was left out.
    plot
        Draw the activation of the store's strongest memories against their age, into this .svg or .png.
    url
        A gateway to ask, as VHM_URL.
    timeout
        Seconds to wait for an answer.
    """
    if more:
        raise UserError(f'put the query in quotes: vhm recall "{" ".join((query, *more))}"')
    if not 1 <= top_k <= 50:
        raise UserError("--top-k: wants a whole number from 1 to 50")
    if not query.strip():
        raise UserError("the query is empty")
    if plot is not None:
        plotting.check(plot)
    at = optional(now, "--now")
    if at is not None:
        print(f"remembering at {shown(at)}", file=sys.stderr)
    asked_of = url or os.environ.get("VHM_URL") or os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if lost := local_state.loss(local_state.folder(), asked_of):
        print(f"vhm: {lost}", file=sys.stderr)
    with Memory.connect(url) as memory:
        found = memory.of(owner).recall(
            query,
            k=top_k,
            now=at,
            session=session,
            since=optional(since, "--since"),
            until=optional(until, "--until"),
            where=dict(map(_pair, where or ())),
            at_least=at_least,
            explain=max(explain, explaining.MAX_CANDIDATES if plot else REASONS_FROM),
            seconds=timeout,
        )
    if json:
        print_json(Answer(request_id=found.request_id, beats=found.beats, retelling=found.story or ""))
    else:
        show(found)
        if explain:
            _show_candidates(found.candidates[:explain])
    if plot is not None:
        plotting.draw(plot, query, found.candidates)
    if not found.beats:
        print(f"vhm: {reason(found.explanation, query, session)}", file=sys.stderr)
    elif len(found.beats) < top_k and any(one.left_out == explaining.WEAKER for one in found.candidates):
        print(
            f"vhm: {len(found.beats)} of {top_k}: the worker's RESONANCE_MAX_BEATS allows no more",
            file=sys.stderr,
        )
    return 0


def show(found: Recollection) -> None:
    """The beats as a table, then the retelling."""
    if found.beats:
        rows = [(beat.perceived_age, f"{beat.activation:.2f}", beat.text) for beat in found.beats]
        print_table(("age", "activation", "memory"), rows)
        print()
    print_story(found.story or "")


def _pair(text: str) -> tuple[str, str | int | bool]:
    """KEY=VALUE; true, false and whole numbers are what they look like, unless in quotes."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise UserError(f"--where: expected KEY=VALUE, got {text!r}")
    if value in ("true", "false"):
        return key, value == "true"
    if value.removeprefix("-").isdecimal():
        return key, int(value)
    return key, value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


def _show_candidates(candidates: list[Candidate]) -> None:
    columns = ("match", "similarity", "decay", "salience", "activation", "left out because", "memory")
    rows = [
        (
            *(
                f"{figure:.3f}"
                for figure in (one.match, one.similarity, one.decay, one.salience, one.activation)
            ),
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
    if why.memories == 0 and not why.candidates:
        return "nothing was recalled: the store is empty; try `vhm remember TEXT`"
    reasons = {candidate.left_out or "" for candidate in why.candidates}
    if reasons and all(one.startswith(explaining.TOO_YOUNG) for one in reasons):
        return (
            "nothing was recalled: the memories about that are in the future at that moment; "
            f"try `{again}` with a later --now"
        )
    if session and reasons == {explaining.SAME_SESSION}:
        return (
            f"nothing was recalled: the memories about that are of session {session!r} itself; "
            f"try `{again}` without --session"
        )
    if explaining.NOTHING_RELEVANT in reasons:
        return f"nothing was recalled: {explaining.NOTHING_RELEVANT}; `{again} --explain 10` shows how well"
    return f"nothing was recalled: all memories were left out; try `{again} --explain 10`"
