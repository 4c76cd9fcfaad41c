"""How the store of anchors can fail."""

from __future__ import annotations


class StoreUnavailableError(Exception):
    """The store cannot be used now; the same call may succeed later. One line for people: what, where
    and why."""


class StoreMismatchError(StoreUnavailableError):
    """The collection is not filled by the model that is asked for. One line: what it holds, what was
    asked for, and the command that helps. Nothing is changed."""


class AnchorRejectedError(Exception):
    """The store refuses one of these anchors, and will again. One line for people."""
