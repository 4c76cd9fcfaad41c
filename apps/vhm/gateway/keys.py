"""Authentication: keys, and the owner whose memory each opens."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator

import msgspec

from vhm.contract.rest import NO_OWNER

SHORTEST_KEY = 32
"""Characters of a key at least: 128 bits in hexadecimal."""

EVERYBODY = "*"
"""In place of an owner: the key opens every memory, dead letters and the workers' health."""

_ENTRY = re.compile(r"(?P<owner>\*|-|[A-Za-z0-9][A-Za-z0-9._@|~+-]{0,199})(?P<read>:read)?=(?P<key>.*)", re.S)


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """The sender of a request, known by its key. `owner` is None for all owners; `name` says which key, not
    what it is."""

    owner: str | None
    read_only: bool = False
    name: str

    def may_read(self, owner: str) -> bool:
        """Whether it may see what `owner` remembers."""
        return self.owner is None or self.owner == owner

    def may_write(self, owner: str) -> bool:
        """Whether it may remember and forget for `owner`."""
        return self.may_read(owner) and not self.read_only


LOCAL = Principal(owner=None, name="local")
"""The principal of every request, on a gateway that only this machine reaches."""


class Keyring:
    """The keys of a gateway, held as SHA-256 digests. Without any, every request is refused."""

    def __init__(self, text: str = "") -> None:
        """`text` is GATEWAY_KEYS, which `faults` finds nothing wrong with."""
        self._keys: list[tuple[bytes, Principal]] = []
        for number, entry in enumerate(_entries(text), 1):
            match = _ENTRY.fullmatch(entry)
            if match is None:
                continue
            owner = {EVERYBODY: None, NO_OWNER: ""}.get(match["owner"], match["owner"])
            principal = Principal(owner=owner, read_only=match["read"] is not None, name=f"key {number}")
            self._keys.append((_digest(match["key"]), principal))

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, key: str) -> Principal | None:
        """The principal of a key. Takes as long for a wrong key as for a right one."""
        digest, found = _digest(key), None
        for known, principal in self._keys:
            if hmac.compare_digest(known, digest):
                found = principal
        return found

    def fingerprint(self, key: str) -> str:
        """An identifier of a key that does not reveal it."""
        return _fingerprint(_digest(key))

    def find_fingerprint(self, fingerprint: str) -> Principal | None:
        """The principal of the key with that fingerprint."""
        for known, principal in self._keys:
            if hmac.compare_digest(_fingerprint(known).encode(), fingerprint.encode("utf-8", "replace")):
                return principal
        return None


def faults(text: str) -> Iterator[str]:
    """What is wrong with GATEWAY_KEYS; no line holds a key."""
    for number, entry in enumerate(_entries(text), 1):
        match = _ENTRY.fullmatch(entry)
        if match is None:
            yield f"entry {number}: expected owner=key, owner:read=key or *=key"
        elif len(match["key"]) < SHORTEST_KEY:
            size = len(match["key"])
            yield f"entry {number}: the key has {size} characters, expected {SHORTEST_KEY} or more"


def _entries(text: str) -> list[str]:
    return [entry.strip() for entry in text.split(",") if entry.strip()]


def _fingerprint(digest: bytes) -> str:
    return hashlib.sha256(b"vhm fingerprint" + digest).hexdigest()[:32]


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
