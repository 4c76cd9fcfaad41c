"""What is exported comes back the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import httpx

from gateway.serving import KEY, Served


def vhm(served: Served, *words: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "VHM_URL": served.url, "VHM_KEY": KEY}
    return subprocess.run(
        [sys.executable, "-m", "vhm", *words], input=given, capture_output=True, env=environment
    )


def exported(everybody: httpx.Client, owner: str) -> list[dict[str, Any]]:
    answer = everybody.get(f"/v1/owners/{owner}/export").raise_for_status()
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in answer.content.splitlines()]


def test_an_export_is_remembered_the_whole_way_round_the_same(
    served: Served, everybody: httpx.Client, tmp_path: Path
) -> None:
    there, back = (f"owner-{uuid.uuid4().hex[:8]}" for _ in range(2))
    first = str(uuid.uuid4())
    memories: list[dict[str, Any]] = [
        {"text": "a first\nof two lines \u2028 and “quotes”", "anchor_id": first, "salience": 0.3},
        {"text": "a second", "session": "s", "speaker": "Ana", "meta": {"n": 1.5, "deep": {"a": [None]}}},
        {
            "text": "a third",
            "supersedes": [first],
            "expires_at": "2126-05-01T09:00:00.000001+02:00",
            "stored_at": "2026-05-01T09:00:00.123456-03:00",
        },
    ]
    path = f"/v1/owners/{there}/memories"
    everybody.post(path, json=memories, headers={"Prefer": "wait"}).raise_for_status()
    before = exported(everybody, there)
    assert {anchor["text"] for anchor in before} == {memory["text"] for memory in memories}
    lines = everybody.get(f"/v1/owners/{there}/export").content
    file = tmp_path / "export.jsonl"
    file.write_bytes(lines)
    done = vhm(served, "remember", "--file", str(file), "--owner", back)
    assert (done.returncode, done.stdout.split(b"(")[0]) == (0, b"3 remembered, 0 refused ")
    assert [anchor | {"owner": there} for anchor in exported(everybody, back)] == before
    again = vhm(served, "remember", "--file", "-", "--owner", back, given=lines)
    assert (again.returncode, again.stdout.split(b"(")[0]) == (0, b"3 remembered, 0 refused ")
    assert len(exported(everybody, back)) == 3
    # as the command writes it, too
    copy = vhm(served, "export", "--owner", there)
    assert vhm(served, "remember", "--file", "-", "--owner", back, given=copy.stdout).returncode == 0
    assert [anchor | {"owner": there} for anchor in exported(everybody, back)] == before


def test_a_copy_with_new_ids_is_another_owner_s_own(served: Served, everybody: httpx.Client) -> None:
    there, copy = (f"owner-{uuid.uuid4().hex[:8]}" for _ in range(2))
    everybody.post(
        f"/v1/owners/{there}/memories", json=[{"text": "a"}, {"text": "b"}], headers={"Prefer": "wait"}
    )
    lines = everybody.get(f"/v1/owners/{there}/export").content
    words = ("remember", "--file", "-", "--owner", copy, "--new-ids")
    assert [vhm(served, *words, given=lines).returncode for _ in range(2)] == [0, 0]
    old, new = exported(everybody, there), exported(everybody, copy)
    assert [anchor["text"] for anchor in new] == [anchor["text"] for anchor in old]
    assert not {anchor["anchor_id"] for anchor in new} & {anchor["anchor_id"] for anchor in old}


def test_plain_lines_are_told_how_to_become_a_file_of_memories(served: Served) -> None:
    done = vhm(served, "remember", "--file", "-", given=b"I am vegetarian\nNora plays the cello\n")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.count(b"\n") == 1
    assert b'write one object a line, like {"text":' in done.stderr
