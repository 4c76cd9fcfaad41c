"""`vhm remember`: one memory, or a file of them."""

from __future__ import annotations

import math
import sys
import time
import uuid
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from vhm.client import polling as client
from vhm.client.polling import Client
from vhm.commands.dates import moment, shown
from vhm.commands.memory_file import BLANK, Note, read
from vhm.contract.messages import IMMUTABLE, Anchor, AnchorIndexed, InvalidMessageError, decode, encode
from vhm.contract.topics import ANCHORS_INDEXED, ANCHORS_WRITE
from vhm.errors import UserError
from vhm.memory.control_characters import visible
from vhm.runtime.handler import Outgoing

UNANSWERED = 1_000
"""Most anchors on their way at once, and `UNANSWERED_BYTES`: the embedded broker keeps 5 MB a partition."""
UNANSWERED_BYTES = 1_000_000
INTERRUPTED = 130
SHOWN = 20
"""Refusals listed one by one; the rest are counted."""


class Tally(msgspec.Struct, kw_only=True):
    """What became of the anchors so far."""

    stored: int = 0
    refused: list[tuple[int, str]] = []


def remember(
    text: str | None = None,
    /,
    *,
    at: str | None = None,
    salience: float = 1.0,
    session: str | None = None,
    file: Annotated[Path | None, Parameter(name=["--file", "-f"])] = None,
    timeout: float = 30,
) -> int:
    """Store a memory, or every line of a file.

    Parameters
    ----------
    text
        What to remember.
    at
        When it was: 2026-05-01T09:00, "1 May 2026", "3 days ago at 9:00". Now, if not given.
    salience
        How much it matters, 0.3 to 2.5.
    session
        The conversation it belongs to; a recall within the same one leaves it out.
    file
        Many at once: a JSON object a line (or an array of them; gzipped, if you like) with `text`, and
        optionally `anchor_id`, `stored_at` or `created_at` (as for --at), `salience`, `meta`. The same line
        is the same memory however often it is sent.
    timeout
        Seconds to wait for the next answer.
    """
    if (text is None) == (file is None):
        raise UserError("give either a text or --file FILE")
    if file is not None:
        return _remember_file(file, timeout)
    assert text is not None  # noqa: S101 - told to the type checker: exactly one of the two is given
    now = datetime.now().astimezone()
    when = now if at is None else moment(at, "--at", now)
    body = {
        "anchor_id": str(uuid.uuid4()),
        "text": text,
        "stored_at": when.isoformat(),
        "salience": salience,
        "meta": {"session": session} if session else {},
    }
    try:
        if not math.isfinite(salience):  # JSON would make null of it, and null is the default
            raise UserError(f"--salience: wants a number from 0.3 to 2.5, got {salience}")
        if text.isspace():
            raise UserError(BLANK)
        anchor = decode(Anchor, msgspec.json.encode(body))
    except InvalidMessageError as error:
        raise UserError("; ".join(error.errors)) from None
    except UnicodeEncodeError:
        raise UserError("the text is not valid UTF-8") from None
    tally = Tally()
    _send([Note(line=1, anchor=anchor)], tally, timeout)
    if tally.refused:
        raise UserError(tally.refused[0][1])
    print(f"remembered {anchor.anchor_id}" + (f", of {shown(when)}" if at is not None else ""))
    if when > now:
        print(f"it is dated ahead, and recalled from {shown(when)} on")
    return 0


def _remember_file(file: Path, timeout: float) -> int:
    tally = Tally()
    notes = list(read(file, lambda line, why: tally.refused.append((line, why))))
    started = time.monotonic()
    if notes:
        try:
            _send(notes, tally, timeout)
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


def _send(notes: list[Note], tally: Tally, timeout: float) -> None:
    """Send all, never more than the window unanswered, and take every answer. Raises UserError."""
    from rich.console import Console
    from rich.progress import Progress

    waiting: dict[uuid.UUID, Note] = {}
    queue = iter(notes)
    bytes_waiting = 0
    console = Console(stderr=True)
    hidden = len(notes) < 2 or not console.is_terminal
    with (
        Client(client.settings(), [ANCHORS_INDEXED]) as connection,
        Progress(console=console, transient=True, disable=hidden) as progress,
    ):
        task = progress.add_task("remembering", total=len(notes))
        following = next(queue, None)
        heard = time.monotonic()
        while waiting or following:
            while following and len(waiting) < UNANSWERED and bytes_waiting < UNANSWERED_BYTES:
                value = encode(following.anchor)
                key = str(following.anchor.anchor_id).encode()
                connection.send(Outgoing(topic=ANCHORS_WRITE, key=key, value=value))
                waiting[following.anchor.anchor_id] = following
                bytes_waiting += len(value)
                following = next(queue, None)
            for message in connection.answers(0.05):
                answer = msgspec.json.decode(message.value() or b"{}", type=AnchorIndexed)
                sent = waiting.pop(answer.anchor_id, None) if answer.anchor_id else None
                if sent is None:
                    continue
                heard = time.monotonic()
                bytes_waiting -= len(encode(sent.anchor))
                _count(tally, sent, answer)
                progress.advance(task)
                if not waiting:
                    break
            if time.monotonic() - heard > timeout:
                first = min(note.line for note in waiting.values())
                raise UserError(
                    f"no answer from the indexer for {timeout:g} s: {tally.stored} remembered, "
                    f"{len(waiting)} unanswered (the first on line {first}); is it running and ready?"
                )


def _count(tally: Tally, note: Note, answer: AnchorIndexed) -> None:
    if answer.ok or (note.dated_here and answer.reason == IMMUTABLE):
        tally.stored += 1
    else:
        why = "; ".join(answer.errors or ()) or answer.detail or "no reason given"
        tally.refused.append((note.line, f"{answer.reason}: {why}"))
