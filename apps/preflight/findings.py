"""What a check says: places, findings, and the one error that means it could not look."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

Severity = Literal["error", "warning"]

Outcome = Literal[
    "rejected by the API server",
    "no pods",
    "Pending",
    "FailedMount",
    "InvalidImageName",
    "ErrImagePull",
    "ErrImageNeverPull",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "CrashLoopBackOff",
    "OOMKilled",
    "never ready",
    "ready but unreachable",
    "ready but silent",
    "runs old code",
    "never rolls out",
    "insecure",
    "applies nothing",
    "does not build",
    "not checked",
]
"""What the cluster would do, in the words `kubectl get pods` uses or the nearest plain phrase."""


class CheckError(Exception):
    """The check could not be made at all; the one line says what, where and what to do (exit code 2)."""


class Place(msgspec.Struct, frozen=True, order=True):
    """A line of a source file: `file` is a POSIX path relative to the repository root, `line` counts from 1.

    For standard input `file` is `-`.
    """

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One fault, as printed and as encoded to JSON.

    `object` is `Kind/name`; `container` is left out where no container is meant; `field` is a path in the
    API's own notation (`spec.template.spec.containers[0].image`); `message` says what is wrong, `fix` what
    to write instead. Where `count` is above 1, object, container and field are those of the first place.
    """

    rule: str
    severity: Severity
    object: str
    container: str | UnsetType = UNSET
    field: str
    file: str
    line: int
    message: str
    outcome: Outcome
    fix: str
    count: int = 1
    """In how many places of the render it shows: one line may be read by many objects."""
    targets: tuple[str, ...] = ()
    """The targets in which it was found."""

    @property
    def place(self) -> Place:
        """Where to edit."""
        return Place(self.file, self.line)
