"""Remembers through gateway-service, each memory by a connection of its own.

    python - KEY SECONDS

Prints `remembering` once the first memory is accepted, then a JSON object: how many were `accepted`, the ids
of those that are `lost`, and what was answered instead of 202, by count.
"""

from __future__ import annotations

import collections
import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

MEMORIES = "http://gateway-service:8000/v1/owners/rollout/memories"
STORED_SECONDS = 60


def ask(request: urllib.request.Request) -> tuple[int, bytes]:
    """Status and body of the answer."""
    request.add_header("Authorization", f"Bearer {sys.argv[1]}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def stored() -> set[str]:
    """The ids of all that are stored."""
    found: set[str] = set()
    cursor = ""
    while True:
        query = urllib.parse.urlencode({"limit": 1000} | ({"cursor": cursor} if cursor else {}))
        page = json.loads(ask(urllib.request.Request(f"{MEMORIES}?{query}"))[1])
        found |= {memory["anchor_id"] for memory in page["memories"]}
        cursor = page.get("next")
        if not cursor:
            return found


def main(seconds: float) -> None:
    """Remember, then look whether all is there."""
    accepted: set[str] = set()
    others: collections.Counter[str] = collections.Counter()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        anchor_id = str(uuid.uuid4())
        body = json.dumps({"text": f"memory {anchor_id}", "anchor_id": anchor_id}).encode()
        request = urllib.request.Request(MEMORIES, body, {"Content-Type": "application/json"})
        try:
            status, _ = ask(request)
        except OSError as error:
            others[f"{type(error).__name__}: {error}"] += 1
            continue
        if status != 202:
            others[str(status)] += 1
            continue
        if not accepted:
            print("remembering", flush=True)
        accepted.add(anchor_id)
        time.sleep(0.02)
    until = time.monotonic() + STORED_SECONDS
    while (lost := accepted - stored()) and time.monotonic() < until:
        time.sleep(0.5)
    print(json.dumps({"accepted": len(accepted), "lost": sorted(lost), "others": others}))


if __name__ == "__main__":
    main(float(sys.argv[2]))
