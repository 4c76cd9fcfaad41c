"""Where `vhm up` keeps its memories and says where it listens, and how client commands find it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Literal

import msgspec
import portalocker

from vhm.errors import UserError

STATE = "up.json"
LOCK = "up.lock"
PATIENCE_SECONDS = 1.0
"""A client that only looks holds the lock for a moment."""


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A running `vhm up`: its process, its broker's address, each worker's health page, and how many records
    its broker dropped before they were consumed."""

    pid: int
    bootstrap: str
    health: dict[str, str]
    skipped: int = 0


def folder(environment: Mapping[str, str] = os.environ) -> Path:
    """$VHM_HOME, else `vhm` in the user's data folder ($XDG_DATA_HOME)."""
    named = environment.get("VHM_HOME")
    if named:
        return Path(named).expanduser()
    data = environment.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "vhm"


@contextlib.contextmanager
def held(home: Path) -> Iterator[None]:
    """Be the one `vhm up` on this folder, which is made if need be. Raises UserError."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = _lock(home, portalocker.LockFlags.EXCLUSIVE, "w", PATIENCE_SECONDS)
        lock.acquire()
    except portalocker.LockException:
        raise UserError(f"a `vhm up` runs on {home} already: stop it, or give another --at FOLDER") from None
    except OSError as error:
        raise UserError(
            f"cannot keep memories in {home}: {error.strerror}; give another --at FOLDER"
        ) from None
    try:
        yield
    finally:
        lock.release()


def is_held(home: Path) -> bool:
    """Whether a `vhm up` is there, be it only about to start."""
    try:
        with _lock(home, portalocker.LockFlags.SHARED, "r", 0):
            return False
    except portalocker.LockException:
        return True
    except OSError:
        return False


def _lock(
    home: Path, how: portalocker.LockFlags, mode: Literal["r", "w"], seconds: float
) -> portalocker.Lock[IO[str]]:
    flags = how | portalocker.LockFlags.NON_BLOCKING
    return portalocker.Lock(home / LOCK, mode, timeout=seconds, check_interval=0.05, flags=flags)


def announce(home: Path, running: Running) -> None:
    """Leave word for client commands; replaced whole, so a reader never sees half of it."""
    fresh = home / f"{STATE}.{running.pid}"
    fresh.write_bytes(msgspec.json.encode(running))
    fresh.replace(home / STATE)


def withdraw(home: Path) -> None:
    """Take the word back."""
    (home / STATE).unlink(missing_ok=True)


def loss(home: Path, bootstrap: str) -> str | None:
    """What to say to whoever asks the `vhm up` on `home` after its broker dropped records; else None."""
    up = running(home)
    if up is None or not up.skipped or up.bootstrap != bootstrap:
        return None
    return (
        f"{up.skipped} records were dropped by the embedded broker before they were stored: send them again"
    )


def running(home: Path) -> Running | None:
    """The `vhm up` that runs on `home`; None when there is none, or what it left is stale."""
    try:
        found = msgspec.json.decode((home / STATE).read_bytes(), type=Running)
        os.kill(found.pid, 0)
    except (OSError, msgspec.MsgspecError):
        return None
    return found
