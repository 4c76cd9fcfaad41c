"""The store of anchors: Qdrant behind one face."""

from vhm.anchors.errors import AnchorRejectedError, StoreMismatchError, StoreUnavailableError
from vhm.anchors.store import AnchorStore
from vhm.anchors.types import Explained, Query, Recalled, Stored, Summary

__all__ = [
    "AnchorRejectedError",
    "AnchorStore",
    "Explained",
    "Query",
    "Recalled",
    "StoreMismatchError",
    "StoreUnavailableError",
    "Stored",
    "Summary",
]
