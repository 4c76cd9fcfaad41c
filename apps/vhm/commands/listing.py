"""`vhm list`, `vhm show`, `vhm export`: what is stored, without a question."""

from __future__ import annotations

import sys

import msgspec

from vhm import Anchor, Memory
from vhm.commands.dates import optional, shown
from vhm.commands.output import print_json, print_table
from vhm.errors import UserError


def list_memories(
    *,
    owner: str = "",
    since: str | None = None,
    until: str | None = None,
    limit: int = 20,
    url: str | None = None,
) -> int:
    """List what is remembered, the newest first.

    Parameters
    ----------
    owner
        Whose memory.
    since
        Only what was said from then on.
    until
        Only what was said before.
    limit
        Memories at most.
    url
        A gateway to ask, as VHM_URL.
    """
    rows: list[tuple[str, str, str]] = []
    with Memory.connect(url) as memory:
        for anchor in memory.of(owner).memories(
            since=optional(since, "--since"),
            until=optional(until, "--until"),
        ):
            if len(rows) == limit:
                print(f"vhm: the newest {limit}; --limit shows more", file=sys.stderr)
                break
            rows.append((shown(anchor.stored_at), str(anchor.anchor_id), anchor.text))
    if not rows:
        print("vhm: no memories", file=sys.stderr)
        return 0
    print_table(("said", "id", "memory"), rows)
    return 0


def show_memory(anchor_id: str, /, *, owner: str = "", url: str | None = None) -> int:
    """Show one memory, all of it, as JSON.

    Parameters
    ----------
    anchor_id
        Its id.
    owner
        Whose memory.
    url
        A gateway to ask, as VHM_URL.
    """
    with Memory.connect(url) as memory:
        found = memory.of(owner).get(anchor_id)
    if found is None:
        raise UserError(f"no memory {anchor_id}" + (f" of {owner}" if owner else ""))
    print_json(found)
    return 0


def export(*, owner: str = "", url: str | None = None) -> int:
    """Write all that is remembered as JSON lines, which `vhm remember --file` takes.

    Parameters
    ----------
    owner
        Whose memory.
    url
        A gateway to ask, as VHM_URL.
    """
    with Memory.connect(url) as memory:
        for anchor in memory.of(owner).export():
            sys.stdout.buffer.write(_line(anchor))
    sys.stdout.buffer.flush()
    return 0


def _line(anchor: Anchor) -> bytes:
    """A memory without its owner: who reads the file says whose it becomes."""
    fields = {name: getattr(anchor, name) for name in ("anchor_id", "text", "stored_at", "salience", "meta")}
    if anchor.supersedes:
        fields["supersedes"] = anchor.supersedes
    if anchor.expires_at is not None:
        fields["expires_at"] = anchor.expires_at
    return msgspec.json.encode(fields) + b"\n"
