"""The store of anchors: Qdrant behind one face."""

from vhm.anchors.store import AnchorStore
from vhm.anchors.types import (
    AnchorRejectedError,
    Explained,
    Query,
    Recalled,
    Stored,
    StoreMismatchError,
    StoreUnavailableError,
    Summary,
)

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
