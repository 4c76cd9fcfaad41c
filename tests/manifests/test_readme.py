"""What README shows of preflight is what preflight says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
CALL = r"```console\n\$ uv run preflight (check tests/preflight/broken/\S+)\n(.*?)```"
SHOWN = re.findall(CALL, README, re.DOTALL)


def preflight(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "preflight", *words], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


def test_the_picture_of_the_flow_is_current() -> None:
    drawn = preflight("graph", "overlays/minikube")
    assert f"```mermaid\n{drawn}```" in README, "draw it anew: uv run preflight graph overlays/minikube"


@pytest.mark.parametrize(("command", "shown"), SHOWN)
def test_the_findings_shown_are_those_found(command: str, shown: str) -> None:
    printed = preflight(*command.split())
    assert shown.strip() == re.sub(r"\nnote: .*\n", "\n", printed).split("\nFound")[0].strip()


def test_findings_are_shown() -> None:
    assert SHOWN
