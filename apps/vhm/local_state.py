"""The folder of `vhm up`: its memories, the lock on it, and the file that tells clients where it listens."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Literal

import msgspec
import platformdirs
import portalocker

from vhm.errors import UserError

STATE = "up.json"
LOCK = "up.lock"
LOCK_SECONDS = 1.0
"""Longest wait for the lock; a client that checks it holds it for a moment."""


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A running `vhm up`: its process, its broker's address, its gateway's, each worker's health page, and
    how many records its broker dropped before they were consumed."""

    pid: int
    bootstrap: str
    url: str = ""
    health: dict[str, str]
    skipped: int = 0


def folder(environment: Mapping[str, str] = os.environ) -> Path:
    """$VHM_HOME, else `vhm` in the user's data folder as the platform has it ($XDG_DATA_HOME on Linux)."""
    home = environment.get("VHM_HOME")
    return Path(home).expanduser() if home else platformdirs.user_data_path("vhm", appauthor=False)


@contextlib.contextmanager
def held(home: Path) -> Iterator[None]:
    """Hold the lock of this folder, creating it if need be. Raises UserError when a `vhm up` holds it."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = _lock(home, portalocker.LockFlags.EXCLUSIVE, "w", LOCK_SECONDS)
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
    """Whether a `vhm up` runs on this folder or is starting."""
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
    """Write the file that clients read; replaced atomically, so none sees half of it."""
    fresh = home / f"{STATE}.{running.pid}"
    fresh.write_bytes(msgspec.json.encode(running))
    fresh.replace(home / STATE)


def withdraw(home: Path) -> None:
    """Remove the file that clients read."""
    (home / STATE).unlink(missing_ok=True)


def loss(home: Path, asked_of: str | None) -> str | None:
    """The warning for clients of the `vhm up` on `home`, reached by no address or one of its own, after its
    broker dropped records; else None."""
    up = running(home)
    if up is None or not up.skipped or asked_of not in (None, "", up.bootstrap, up.url):
        return None
    return (
        f"{up.skipped} records were dropped by the embedded broker before they were stored: send them again"
    )


def running(home: Path) -> Running | None:
    """The `vhm up` that runs on `home`; None without one, also when one that was killed left its file."""
    try:
        found = msgspec.json.decode((home / STATE).read_bytes(), type=Running)
        os.kill(found.pid, 0)
    except (OSError, msgspec.MsgspecError):
        return None
    return found
