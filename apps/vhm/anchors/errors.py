"""How the store of anchors can fail. Every message is one line for people: what, where and why.

StoreUnavailableError      the same call may succeed later
├─ StoreMismatchError      the collection is not filled by this model
├─ CollectionMissingError  there is no such collection
└─ CollectionExistsError   there is one already
AnchorRejectedError        the store will never take one of these anchors
"""

from __future__ import annotations


class StoreUnavailableError(Exception):
    """The store cannot be used now; the same call may succeed later."""


class StoreMismatchError(StoreUnavailableError):
    """The collection is not filled by the model that is asked for. The line names what it holds, what was
    asked for, and the command that helps. Nothing is changed."""


class CollectionMissingError(StoreUnavailableError):
    """There is no such collection, or no Qdrant behind that address."""


class CollectionExistsError(StoreUnavailableError):
    """Somebody made the collection already."""


class AnchorRejectedError(Exception):
    """The store refuses one of these anchors, and will again."""
