"""Which failures of a provider are worth another try."""

from __future__ import annotations

from enum import Enum

from vhm.provider_errors import Status, innermost, one_line


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


def refused(status: Status, model: str, key: str) -> Fault:
    """What an HTTP error status means. `key`: the variable to check."""
    code, said, wait = status.code, status.said, status.wait
    if code in (401, 403):
        return Fault(f"{code}: access denied, check {key}", Kind.DENIED)
    if code == 404:
        return Fault(f"404: no model {model!r} there" + (f" ({said})" if said else ""), Kind.DENIED)
    if code == 429:
        again = f", asks to be left alone for {wait:.0f} s" if wait else ""
        return Fault(f"429: over its quota{again}", Kind.DOWN, wait)
    if code in (400, 413, 422):
        return Fault(status.line, Kind.TEXTS)
    if code == 500:
        return Fault(status.line, Kind.ODD, wait)
    return Fault(status.line, Kind.DOWN if code > 500 or code in (408, 409, 425) else Kind.DENIED, wait)


def broken(error: BaseException) -> Fault:
    """What a failed connection means."""
    cause = innermost(error)
    return Fault(f"no connection: {one_line(str(cause)) or type(cause).__name__}", Kind.DOWN)


def odd(what: str) -> Fault:
    """An answer of 200 that cannot be used."""
    return Fault(f"an answer that cannot be used: {what}", Kind.ODD)
