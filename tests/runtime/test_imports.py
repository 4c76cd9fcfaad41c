"""A worker imports nothing heavy that it does not use before it is needed: pods start that way."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    "aiohttp",
    "litestar",
    "uvicorn",
    "qdrant_client",
    "onnxruntime",
    "tokenizers",
    "openai",
    "portkey_ai",
    "cyclopts",
    "confluent_kafka.admin",
}

SCRIPT = """
import sys
import vhm.commands.worker, vhm.runtime.worker, vhm.{0}.settings, vhm.{0}.worker
print(*sys.modules, sep="\\n")
"""


@pytest.mark.parametrize("worker", ["indexer", "resonance", "reteller"])
def test_a_worker_imports_nothing_heavy_before_it_needs_it(worker: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(worker)], capture_output=True, text=True, check=True
    )
    assert HEAVY.isdisjoint(done.stdout.split())
