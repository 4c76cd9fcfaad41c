"""The command line at a real terminal, at the end of a pipe, on a full disk, and interrupted."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
import uuid
from functools import partial
from pathlib import Path

import pytest

from vhm.local import System

SHOW = """
from vhm.commands.output import print_story, print_table
print_table(("age", "activation", "memory"), [("3 days ago", "0.91", "red \\x1b[31mdoor " + "x" * 150)])
print_story("It was so. " * 40)
"""


def on_a_terminal(code: str, columns: int, **environment: str) -> str:
    """What the code prints on a terminal of so many columns."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    plain = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR", "TERM")}
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=slave, env=plain | {"TERM": "xterm-256color"} | environment
    )
    os.close(slave)
    printed = b""
    try:
        while data := os.read(master, 65_536):
            printed += data
    except OSError:  # the child has closed its end
        pass
    os.close(master)
    assert child.wait() == 0
    return printed.decode()


def test_a_wide_terminal_shows_a_memory_on_one_line_and_the_story_in_readable_ones() -> None:
    lines = on_a_terminal(SHOW, 300, NO_COLOR="1").splitlines()
    assert any("red ␛[31mdoor " + "x" * 150 in line for line in lines)
    story = [line for line in lines if "It was so." in line]
    assert max(map(len, story)) <= 100


def test_a_narrow_terminal_folds_and_cuts_nothing() -> None:
    printed = on_a_terminal(SHOW, 60, NO_COLOR="1")
    assert printed.count("x") == 150
    assert "…" not in printed


def test_no_color_means_no_escape_at_all() -> None:
    assert "\x1b" in on_a_terminal(SHOW, 120)
    assert "\x1b" not in on_a_terminal(SHOW, 120, NO_COLOR="1")


def start(*words: str, system: System, out: int = subprocess.PIPE) -> subprocess.Popen[str]:
    environment = os.environ | {"KAFKA_BOOTSTRAP_SERVERS": system.bootstrap}
    # a shell's background jobs ignore interrupts, and so do their children
    interruptible = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen(
        [sys.executable, "-m", "vhm", *words],
        env=environment,
        stdout=out,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=interruptible,
    )


def test_a_full_disk_is_one_line(system: System) -> None:
    with open("/dev/full", "w") as full:
        child = start("recall", "tea", system=system, out=full.fileno())
        _, said = child.communicate(timeout=60)
    assert child.returncode == 1
    assert "vhm: cannot write the output: No space left on device" in said.splitlines()
    assert "Traceback" not in said


def test_an_interrupted_import_ends_with_130_and_says_how_far_it_came(system: System, tmp_path: Path) -> None:
    file = tmp_path / "many.jsonl"
    file.write_text("\n".join(json.dumps({"text": f"note {uuid.uuid4()}"}) for _ in range(40_000)))
    child = start("remember", "--file", str(file), system=system)
    before, until = system.count(), time.monotonic() + 60
    while system.count() < before + 100 and time.monotonic() < until:
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=30)
    assert child.returncode == 130
    assert re.fullmatch(r"vhm: interrupted: \d+ remembered; send the file again to go on\n", said)


@pytest.mark.parametrize("after", [0.1, 0.3, 0.6])
def test_an_interrupt_while_it_starts_leaves_no_traceback(
    system: System, tmp_path: Path, after: float
) -> None:
    child = start("recall", "tea", "--timeout", "30", system=system)
    time.sleep(after)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=30)
    assert child.returncode in (
        130,
        -signal.SIGINT,
        0,
    )  # before Python runs our code, the signal itself ends it
    if child.returncode == 130:
        assert "Traceback" not in said
