"""The two ways in which a verb of `Memory` fails."""

from __future__ import annotations

from collections.abc import Sequence


class Refused(Exception):  # noqa: N818 - its published name
    """What was asked will never be done as it stands. `faults` are all reasons, one line each."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


class TooLarge(Refused):
    """It is larger than the broker takes."""


class Unavailable(Exception):  # noqa: N818 - its published name
    """It cannot be done now; the same call may succeed later. One line: what, where, what to do."""
