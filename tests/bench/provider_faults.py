"""What a person gets, and when, for everything a language provider can do wrong.

    uv run python tests/bench/provider_faults.py

Each provider through its real client library against a server on loopback that misbehaves; 0.4 s are given to
the two faults that only time ends, 30 s to the others.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "apps"), str(ROOT / "tests")]

from language.provider_server import STORY, Behaviour, raw, told  # noqa: E402  path above
from language.test_providers import FAULTS, PATIENCE, PROVIDERS, TIMEOUT, retold  # noqa: E402

CASES: dict[str, Behaviour] = {
    "success": told(STORY),
    **{name: behave for name, (behave, _) in FAULTS.items()},
    "empty choices": raw(b'{"id": "1", "object": "chat.completion", "choices": []}'),
    "refusal": told(None, refusal="I will not."),
    "<think> block": told(f"<think>Trains,\nkeys.</think>\n\n{STORY}"),
    "over-long": told("I took the train again. " * 400),
}


async def run() -> None:
    """Print a row for each case and provider."""
    print("| it does | asked | told by | characters | seconds | why it was passed over |")
    print("|---|---|---|--:|--:|---|")
    for name, behave in CASES.items():
        for provider in PROVIDERS:
            late = name in ("hang", "slow bytes")
            told_, log, _, took = await retold(behave, provider, seconds=TIMEOUT if late else PATIENCE)
            why = log[0]["why"] if log else ""
            print(f"| {name} | {provider} | {told_.teller} | {len(told_.text)} | {took:.2f} | {why} |")


if __name__ == "__main__":
    asyncio.run(run())
