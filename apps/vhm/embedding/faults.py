"""How a provider's failures read, and which are worth another try. No line holds a key."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Mapping
from enum import Enum
from http import HTTPStatus
from urllib.parse import urlsplit

_MOST_OF_A_MESSAGE = 160


class Kind(Enum):
    """What a failed call says about trying again."""

    DOWN = "not there, too slow or too busy: the same call may succeed a moment later"
    ODD = "an answer that is none: may be over in a moment, may be one of these texts"
    TEXTS = "these texts are refused: the same call will fail again"
    DENIED = "no call will succeed until somebody changes something"


class Fault(Exception):
    """One call failed. The message is one line; `wait` is how many seconds the provider asked for."""

    def __init__(self, line: str, kind: Kind, wait: float = 0.0) -> None:
        super().__init__(line)
        self.kind = kind
        self.wait = wait


def refused(status: int, said: str, headers: Mapping[str, str], model: str, key: str) -> Fault:
    """What an HTTP error status means. `said`: the server's own words; `key`: the variable to check."""
    if status in (401, 403):
        return Fault(f"{status}: access denied, check {key}", Kind.DENIED)
    said = one_line(said)
    if status == 404:
        return Fault(f"404: no model {model!r} there" + (f" ({said})" if said else ""), Kind.DENIED)
    wait = retry_after(headers)
    if status == 429:
        again = f", asks to be left alone for {wait:.0f} s" if wait else ""
        return Fault(f"429: over its quota{again}", Kind.DOWN, wait)
    phrase = HTTPStatus(status).phrase.lower() if status in HTTPStatus._value2member_map_ else "failed"
    line = f"{status}: {said or phrase}"
    if status in (400, 413, 422):
        return Fault(line, Kind.TEXTS)
    if status == 500:
        return Fault(line, Kind.ODD, wait)
    return Fault(line, Kind.DOWN if status > 500 or status in (408, 409, 425) else Kind.DENIED, wait)


def broken(error: BaseException) -> Fault:
    """What a failed connection means: its innermost cause."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return Fault(f"no connection: {one_line(str(error)) or type(error).__name__}", Kind.DOWN)


def odd(what: str) -> Fault:
    """An answer of 200 that cannot be used."""
    return Fault(f"an answer that cannot be used: {what}", Kind.ODD)


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that a Retry-After header asks for, a number or an HTTP date; 0 without one."""
    value = headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return 0.0


def address(url: str) -> str:
    """A URL as it may be shown: without user, password and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")


def one_line(text: str) -> str:
    """White space run together, cut where it becomes tedious."""
    text = " ".join(text.split())
    return text if len(text) <= _MOST_OF_A_MESSAGE else text[: _MOST_OF_A_MESSAGE - 1] + "…"
