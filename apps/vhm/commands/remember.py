"""`vhm remember`: one memory, or a file of them."""

from __future__ import annotations

import sys
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from vhm import Memory, Receipt
from vhm.commands.dates import optional, shown
from vhm.commands.memory_file import BLANK, Note, read
from vhm.contract.messages import IMMUTABLE
from vhm.errors import UserError
from vhm.memory.control_characters import visible

INTERRUPTED = 130
SALIENCE = (0.3, 2.5)
SHOWN = 20
"""Refusals listed one by one; the rest are counted."""


class Tally(msgspec.Struct, kw_only=True):
    """The outcomes so far."""

    stored: int = 0
    refused: list[tuple[int, str]] = []


def remember(
    text: str | None = None,
    /,
    *more: str,
    owner: str = "",
    at: str | None = None,
    salience: float = 1.0,
    session: str | None = None,
    speaker: str | None = None,
    supersedes: Annotated[tuple[str, ...], Parameter(name="--supersedes")] = (),
    expires: str | None = None,
    file: Annotated[Path | None, Parameter(name=["--file", "-f"], allow_leading_hyphen=True)] = None,
    new_ids: bool = False,
    url: str | None = None,
    timeout: float = 30,
) -> int:
    """Store a memory, or every line of a file.

    Parameters
    ----------
    text
        What to remember, in quotes.
    more
        Not used: a text of several words stands in quotes.
    owner
        Whose memory it is.
    at
        When it was: 2026-05-01T09:00, "1 May 2026", "3 days ago at 9:00". Now, if not given.
    salience
        How much it matters, 0.3 to 2.5.
    session
        The conversation it belongs to; a recall within the same one leaves it out.
    speaker
        Who said it.
    supersedes
        The id of a memory that this one replaces in recalls; may be given several times.
    expires
        From when on it is recalled no more, and removed within the hour.
    file
        Many at once: a JSON object a line (or an array of them; gzipped, if you like) with `text`, and
        optionally `anchor_id`, `stored_at` or `created_at` (as for --at), `salience`, `meta`; what
        `vhm export` wrote; - is standard input. The same line is the same memory however often it is sent.
    new_ids
        Give the memories of the file other ids: to copy them to another owner.
    url
        A gateway to send to, as VHM_URL.
    timeout
        Seconds to wait for the next answer.
    """
    if more:
        raise UserError(f'put the text in quotes: vhm remember "{" ".join((text or "", *more))}"')
    if (text is None) == (file is None):
        raise UserError("give either a text or --file FILE")
    if not SALIENCE[0] <= salience <= SALIENCE[1]:
        raise UserError(f"--salience: wants a number from {SALIENCE[0]} to {SALIENCE[1]:g}, got {salience:g}")
    if file is not None:
        return _remember_file(file, owner, url, timeout, new_ids=new_ids)
    assert text is not None  # noqa: S101 - for the type checker: exactly one of the two is given
    if text.isspace():
        raise UserError(BLANK)
    now = datetime.now().astimezone()
    when = optional(at, "--at", now) or now
    with Memory.connect(url) as memory:
        receipt = (
            memory.of(owner)
            .remember(
                text,
                at=when,
                salience=salience,
                session=session,
                speaker=speaker,
                supersedes=supersedes,
                expires_at=optional(expires, "--expires", now),
            )
            .wait(timeout)
        )
    print(f"remembered {receipt.anchor_id}" + (f", of {shown(when)}" if at is not None else ""))
    if when > now:
        print(f"it is dated ahead, and recalled from {shown(when)} on")
    return 0


def _remember_file(file: Path, owner: str, url: str | None, timeout: float, *, new_ids: bool) -> int:
    tally = Tally()
    notes = list(read(file, owner, lambda line, why: tally.refused.append((line, why)), new_ids=new_ids))
    started = time.monotonic()
    if notes:
        try:
            with Memory.connect(url) as memory:
                _send(memory.of(owner), notes, tally, timeout)
        except KeyboardInterrupt:
            print(
                f"vhm: interrupted: {tally.stored} remembered; send the file again to go on", file=sys.stderr
            )
            return INTERRUPTED
    seconds = max(time.monotonic() - started, 0.001)
    print(f"{tally.stored} remembered, {len(tally.refused)} refused ({tally.stored / seconds:.0f} a second)")
    for line, why in sorted(tally.refused)[:SHOWN]:
        print(f"{file}:{line}: {visible(why)}", file=sys.stderr)
    if len(tally.refused) > SHOWN:
        reasons = Counter(why.partition(":")[0] for _, why in sorted(tally.refused)[SHOWN:])
        more = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common(5))
        print(f"and {len(tally.refused) - SHOWN} more: {more}", file=sys.stderr)
    now = datetime.now().astimezone()
    if ahead := [note.anchor.stored_at for note in notes if note.anchor.stored_at > now]:
        print(f"{len(ahead)} dated ahead, the first recalled from {shown(min(ahead))} on")
    return 1 if tally.refused else 0


def _send(memory: Memory, notes: list[Note], tally: Tally, timeout: float) -> None:
    """Hand all over, and count the outcomes."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("remembering", total=len(notes))
        receipts = memory.remember_many((note.anchor for note in notes), seconds=timeout)
        for note, receipt in zip(notes, receipts, strict=True):
            if isinstance(receipt, Receipt) or (note.dated_here and receipt.faults[0].startswith(IMMUTABLE)):
                tally.stored += 1
            else:
                tally.refused.append((note.line, "; ".join(receipt.faults)))
            progress.advance(task)
