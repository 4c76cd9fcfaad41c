"""What a language model is to the chain, and how its failures read."""

from __future__ import annotations

import email.utils
import re
import socket
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Protocol
from urllib.parse import urlsplit

from vhm.contract.environment import Secret
from vhm.memory.narrative import Prompt

_MOST_OF_AN_ERROR = 160
_KEYS = re.compile(r"(?i)bearer\s+\S+|\b[a-z]{2,3}-[\w*-]{8,}")


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


def refused(
    status: int, said: str, headers: Mapping[str, str], model: str, key: Secret | None = None
) -> Refused:
    """What an HTTP error status means. `said` is the server's own message; it is shown without the key,
    and not at all where it is about the key."""
    if status in (401, 403):
        return Refused(f"{status}: it does not accept the key", LASTING)
    said = _one_line(_KEYS.sub("***", said.replace(key.reveal(), "***") if key else said))
    if status == 404:
        return Refused(f"404: no model {model!r} there" + (f" ({said})" if said else ""), LASTING)
    if status == 429:
        pause = retry_after(headers)
        told = f", to be asked again in {pause:.0f} s" if pause else ""
        return Refused(f"429: over its quota{told}" + (f" ({said})" if said else ""), pause)
    phrase = HTTPStatus(status).phrase.lower() if status in HTTPStatus._value2member_map_ else "failed"
    return Refused(f"{status}: {said or phrase}", retry_after(headers))


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that a Retry-After header asks to wait (a number or an HTTP date); 0 without one."""
    value = headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return 0.0


def broken(error: BaseException, url: str = "") -> Refused:
    """What an error that is no HTTP status means: its innermost cause, and the host of `url`, in one line."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    if isinstance(error, socket.gaierror):
        why = "no such host"
    elif isinstance(error, ConnectionRefusedError):
        why = "nothing listens there"
    else:
        why = f"{_one_line(str(error)) or 'failed'} ({type(error).__name__})"
    place = urlsplit(url)
    at = f"{place.hostname}:{place.port}" if place.port else place.hostname
    return Refused(f"cannot reach {at}: {why}" if at else why)


def _one_line(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MOST_OF_AN_ERROR else text[: _MOST_OF_AN_ERROR - 1] + "…"
