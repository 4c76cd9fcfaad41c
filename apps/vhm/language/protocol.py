"""What a language model is to the chain, and how its failures read."""

from __future__ import annotations

import socket
from typing import Protocol
from urllib.parse import urlsplit

from vhm.memory.prompt import Prompt
from vhm.provider_errors import Status, innermost, one_line


class Refused(Exception):
    """A provider told nothing usable; the message is one line that says why and holds no secret.

    `pause`: seconds to leave it alone (0: until the breaker's own rule says so). `its_fault` is False
    where the provider works and only would not tell this.
    """

    def __init__(self, why: str, pause: float = 0.0, its_fault: bool = True) -> None:
        super().__init__(why)
        self.pause = pause
        self.its_fault = its_fault


class Teller(Protocol):
    """One provider of a language model."""

    name: str
    """As it is logged: the provider and its model."""

    async def tell(self, prompt: Prompt) -> str:
        """The model's answer, cleaned. Raises Refused. May be cancelled at any time."""
        ...

    async def close(self) -> None:
        """Close its connections."""
        ...


LASTING = 30.0
"""Seconds to leave a provider alone that refuses the key or lacks the model: asking again changes nothing."""


def refused(status: Status, model: str) -> Refused:
    """What an HTTP error status means; what it says is not shown where it is about the key."""
    if status.code in (401, 403):
        return Refused(f"{status.code}: it does not accept the key", LASTING)
    said = f" ({status.said})" if status.said else ""
    if status.code == 404:
        return Refused(f"404: no model {model!r} there{said}", LASTING)
    if status.code == 429:
        told = f", to be asked again in {status.wait:.0f} s" if status.wait else ""
        return Refused(f"429: over its quota{told}{said}", status.wait)
    return Refused(status.line, status.wait)


def broken(error: BaseException, url: str = "") -> Refused:
    """What an error that is no HTTP status means: its innermost cause, and the host of `url`, in one line."""
    error = innermost(error)
    if isinstance(error, socket.gaierror):
        why = "no such host"
    elif isinstance(error, ConnectionRefusedError):
        why = "nothing listens there"
    else:
        why = f"{one_line(str(error)) or 'failed'} ({type(error).__name__})"
    place = urlsplit(url)
    at = f"{place.hostname}:{place.port}" if place.port else place.hostname
    return Refused(f"cannot reach {at}: {why}" if at else why)
