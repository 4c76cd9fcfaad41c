"""The store of anchors: one contract, behind it a Qdrant server or a folder of this machine."""

from vhm.anchors.errors import AnchorRejectedError, StoreMismatchError, StoreUnavailableError
from vhm.anchors.lifecycle import Delivery, Tombstone
from vhm.anchors.scope import Scope
from vhm.anchors.store import AnchorStore, open_store
from vhm.anchors.types import Explained, Query, Ranking, Recalled, WriteOutcome

__all__ = [
    "AnchorRejectedError",
    "AnchorStore",
    "Delivery",
    "Explained",
    "Query",
    "Ranking",
    "Recalled",
    "Scope",
    "StoreMismatchError",
    "StoreUnavailableError",
    "Tombstone",
    "WriteOutcome",
    "open_store",
]
