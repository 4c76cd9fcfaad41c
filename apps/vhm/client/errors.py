"""The two ways in which a verb of `Memory` fails."""

from __future__ import annotations

from collections.abc import Sequence


class Refused(Exception):  # noqa: N818 - its published name
    """The request can never succeed as it is. `faults`: every reason, one line each."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


class TooLarge(Refused):
    """The memory is larger than the broker accepts."""


class Unavailable(Exception):  # noqa: N818 - its published name
    """The request cannot be served now; the same call may later. One line: what, where, what to do."""
