"""The verbs in one process: the whole system, started and ended with the connection."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from vhm.client.errors import Unavailable
from vhm.client.kafka import KafkaTransport
from vhm.client.transport import CLOSE_SECONDS
from vhm.contract.env_loader import load
from vhm.contract.settings import Settings
from vhm.errors import UserError
from vhm.local import System


class LocalTransport(KafkaTransport):
    """`Transport` to a `System` of its own, kept in `folder`, else in memory."""

    def __init__(self, folder: Path | None, environment: Mapping[str, str] | None) -> None:
        self._system = System(folder, environment)

    async def open(self) -> None:
        """Start the system, then connect to it."""
        try:
            await asyncio.to_thread(self._system.__enter__)
        except UserError as error:
            raise Unavailable(str(error)) from None
        settings = load(Settings, {"KAFKA_BOOTSTRAP_SERVERS": self._system.bootstrap})
        super().__init__(settings, self._system.reader)
        try:
            await super().open()
        except BaseException:
            await asyncio.to_thread(self._system.__exit__, None, None, None)
            raise

    async def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Disconnect, then stop the system."""
        try:
            await super().close(seconds)
        finally:
            await asyncio.to_thread(self._system.__exit__, None, None, None)
