"""`vhm demo`: the three-memories story, end to end."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from vhm import Memory
from vhm.commands.recall import show

MEMORIES = (
    (
        timedelta(days=45),
        1.6,
        "Mara taught me to bake sourdough in her tiny kitchen, and my first loaf burned",
    ),
    (timedelta(days=9), 1.0, "I baked rye bread for the street party and Mara came back for a second slice"),
    (timedelta(hours=3), 1.0, "Mara called to ask whether I would bake the bread for her wedding"),
)
QUERY = "How did baking bread with Mara begin, and where has it led?"


def demo() -> int:
    """Remember three memories, recall them, have them retold: the real workers, in this process."""
    started = time.monotonic()
    print("starting the three workers on an embedded broker and an embedded store …")
    with Memory.local() as memory:
        print(f"ready after {time.monotonic() - started:.1f} s\n")
        now = datetime.now(UTC)
        for age, salience, text in MEMORIES:
            memory.remember(text, at=now - age, salience=salience).wait(30)
            print(f"remembered, salience {salience}: {text}")
        print(f"\nrecall: {QUERY}\n")
        show(memory.recall(QUERY, seconds=30))
    print("\nNext: `vhm up`, then `vhm remember` and `vhm recall` in another terminal.")
    return 0
