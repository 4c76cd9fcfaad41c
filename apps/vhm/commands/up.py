"""`vhm up`: the whole system on this machine until it is told to stop."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import msgspec

from vhm import local_state
from vhm.local import System
from vhm.local_state import Running

PORTS = {"api": 8000, "indexer": 8081, "resonance": 8082, "reteller": 8083, "gateway": 8084}
"""Where the API and the health pages are, if nothing else is there."""

BROKER_PORT = 19092
"""Where the embedded broker takes its first connections, if nothing else is there."""


def up(*, at: Path | None = None, verbose: bool = False) -> int:
    """Run the whole system on this machine: an embedded broker, an embedded store, the workers.

    The workers read their usual variables (`vhm settings`) except for the addresses, which are given.

    Parameters
    ----------
    at
        Folder of the memories; $VHM_HOME, else `vhm` in the user's data folder.
    verbose
        Show the workers' own log lines.
    """
    folder = at or local_state.folder()
    level = "INFO" if verbose else "WARNING"
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with (
        local_state.held(folder),
        System(
            folder,
            os.environ,
            gateway=True,
            ports=PORTS,
            broker_port=BROKER_PORT,
            log_level=level,
            report=print,
        ) as system,
    ):
        here = Running(pid=os.getpid(), bootstrap=system.bootstrap, url=system.url, health=system.health)
        local_state.announce(folder, here)
        try:
            _tell(system, folder)
            while system.running and not stop.wait(1):
                if system.skipped != here.skipped:
                    here = msgspec.structs.replace(here, skipped=system.skipped)
                    local_state.announce(folder, here)
            print("stopping …", file=sys.stderr)
        finally:
            local_state.withdraw(folder)
    return 0


def _tell(system: System, folder: Path) -> None:
    print(f"page      {system.url}")
    print(f"memories  {folder} ({system.count()} so far)")
    print(f"broker    {system.bootstrap}")
    for worker, address in system.health.items():
        print(f"{worker:<9} {address}/health")
    print("\nIn another terminal: vhm remember TEXT, vhm recall QUERY. Ctrl-C stops.", flush=True)
