"""Which system a client reaches: a gateway, a broker, or the `vhm up` of this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

from vhm import local_state
from vhm.client.errors import Refused, Unavailable
from vhm.client.transport import Transport
from vhm.contract.env_loader import SettingsError, load
from vhm.contract.settings import Settings

START_SECONDS = 30.0
"""Longest wait for a `vhm up` that is starting."""

GRACE_SECONDS = 1.0
"""Longest wait for a `vhm up` of which there is no sign yet."""


def transport(
    url: str | None = None, key: str | None = None, environment: Mapping[str, str] | None = None
) -> Transport:
    """The way to the system that `url` or the environment names. Raises Refused, Unavailable."""
    given = os.environ if environment is None else environment
    key = key or (given.get("VHM_KEY") or "").strip() or None
    url = url or (given.get("VHM_URL") or "").strip() or None
    if url is None and not _names_a_broker(given):
        url = _up(local_state.folder(given)).url or None
    if url is not None:
        from vhm.client.http import HttpTransport

        if not url.startswith(("http://", "https://")):
            raise Refused([f"VHM_URL: expected http(s)://host[:port], got {url[:80]!r}"])
        return HttpTransport(url, key)
    from vhm.client.kafka import KafkaTransport

    return KafkaTransport(broker_settings(given))


def broker_settings(environment: Mapping[str, str] = os.environ, folder: Path | None = None) -> Settings:
    """How to reach the broker: the environment, else the `vhm up` that runs here. Raises Refused,
    Unavailable."""
    if not _names_a_broker(environment):
        up = _up(folder or local_state.folder(environment))
        environment = {**environment, "KAFKA_BOOTSTRAP_SERVERS": up.bootstrap}
    try:
        return load(Settings, environment)
    except SettingsError as error:
        raise Refused(error.errors) from None


def _names_a_broker(environment: Mapping[str, str]) -> bool:
    named = environment.get("KAFKA_BOOTSTRAP_SERVERS") or environment.get("KAFKA_BOOTSTRAP")
    return bool((named or "").strip())


def _up(folder: Path) -> local_state.Running:
    """The `vhm up` on this folder, waited for while it starts. Raises Unavailable."""
    began = time.monotonic()
    while (up := local_state.running(folder)) is None:
        waited = time.monotonic() - began
        if waited > (START_SECONDS if local_state.is_held(folder) else GRACE_SECONDS):
            raise Unavailable(
                "no `vhm up` is running here: start one, or set VHM_URL or KAFKA_BOOTSTRAP_SERVERS"
            )
        time.sleep(0.1)
    return up
