"""Where `vhm up` keeps its memories and says where it listens, and how client commands find it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

STATE = "up.json"


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A running `vhm up`: its process, its broker's address, each worker's health page."""

    pid: int
    bootstrap: str
    health: dict[str, str]


def folder(environment: Mapping[str, str] = os.environ) -> Path:
    """$VHM_HOME, else `vhm` in the user's data folder ($XDG_DATA_HOME)."""
    named = environment.get("VHM_HOME")
    if named:
        return Path(named).expanduser()
    data = environment.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "vhm"


def announce(home: Path, running: Running) -> None:
    """Leave word for client commands; replaced whole, so a reader never sees half of it."""
    fresh = home / f"{STATE}.{running.pid}"
    fresh.write_bytes(msgspec.json.encode(running))
    fresh.replace(home / STATE)


def withdraw(home: Path) -> None:
    """Take the word back."""
    (home / STATE).unlink(missing_ok=True)


def running(home: Path) -> Running | None:
    """The `vhm up` that runs on `home`; None when there is none, or what it left is stale."""
    try:
        found = msgspec.json.decode((home / STATE).read_bytes(), type=Running)
        os.kill(found.pid, 0)
    except (OSError, msgspec.MsgspecError):
        return None
    return found
