"""The store of anchors: Qdrant behind one face."""

from vhm.anchors.store import AnchorStore
from vhm.anchors.types import (
    AnchorUnstorable,
    Explained,
    Query,
    Recalled,
    Stored,
    StoreMismatch,
    StoreUnavailable,
    Summary,
)

__all__ = [
    "AnchorStore",
    "AnchorUnstorable",
    "Explained",
    "Query",
    "Recalled",
    "StoreMismatch",
    "StoreUnavailable",
    "Stored",
    "Summary",
]
