"""`vhm forget`: by id, by conversation, what was said before a moment, or everything of an owner."""

from __future__ import annotations

import os
import sys

from vhm import Memory
from vhm.commands.dates import optional, shown
from vhm.contract.settings import RETENTION_HOURS
from vhm.errors import UserError


def forget(
    *anchor_ids: str,
    owner: str = "",
    session: str | None = None,
    before: str | None = None,
    everything: bool = False,
    yes: bool = False,
    url: str | None = None,
    timeout: float = 60,
) -> int:
    """Forget for good: memories by their ids, or exactly one of --session, --before, --everything.

    Parameters
    ----------
    anchor_ids
        The ids of the memories, as `vhm list` shows them.
    owner
        Whose memory.
    session
        All that was said in that conversation.
    before
        All that was said before then: 2026-05-01, "3 days ago".
    everything
        All that this owner remembers.
    yes
        Do not ask back.
    url
        A gateway to ask, as VHM_URL.
    timeout
        Seconds to wait for the answer.
    """
    given = [bool(anchor_ids), session is not None, before is not None, everything]
    if sum(given) != 1:
        raise UserError("give exactly one of: ids, --session, --before, --everything")
    when = optional(before, "--before")
    if anchor_ids:
        what = f"{len(anchor_ids)} {'memory' if len(anchor_ids) == 1 else 'memories'}"
    elif session is not None:
        what = f"what was said in {session}"
    else:
        what = f"what was said before {shown(when)}" if when is not None else "everything"
    if not yes:
        _confirm(what + (f" of {owner}" if owner else ""))
    with Memory.connect(url) as memory:
        count = memory.of(owner).forget(
            *anchor_ids, session=session, before=when, everything=everything, seconds=timeout
        )
    print(f"forgot {count} {'memory' if count == 1 else 'memories'}")
    print(f"Kafka's log keeps their texts until they are {_retention()} old, out of every recall's reach")
    return 0


def _confirm(what: str) -> None:
    if not sys.stdin.isatty():
        raise UserError(f"to forget {what} without being asked, say --yes")
    if input(f"forget {what}, for good? [y/N] ").strip().lower() not in ("y", "yes"):
        raise UserError("nothing was forgotten")


def _retention() -> str:
    """As this environment has it; the workers' own may differ."""
    hours = os.environ.get("KAFKA_TOPIC_RETENTION_HOURS", "")
    count = int(hours) if hours.isdigit() else RETENTION_HOURS
    return f"{count} hours" if count % 24 else f"{count // 24} days"
