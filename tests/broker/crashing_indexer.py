"""An indexer that kills itself: `python crashing_indexer.py STEP COUNT`, see `crashing_worker`.

STEPS are the boundaries on the way of a record that change something outside the process, in order.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from broker.crashing_worker import Death, strike_runtime
from vhm.anchors.qdrant.lifecycle import Lifecycle
from vhm.anchors.qdrant.session_vectors import SessionVectors
from vhm.anchors.qdrant.store import QdrantStore
from vhm.indexer.settings import Settings
from vhm.indexer.worker import make
from vhm.runtime import worker

STORE_STEPS: dict[str, tuple[type, str]] = {
    "insert": (QdrantStore, "_upsert"),
    "derive": (SessionVectors, "_write"),
    "look for tombstones": (QdrantStore, "_take_out_forgotten"),
    "mark": (Lifecycle, "supersede"),
    "tombstone": (Lifecycle, "_record"),
    "delete": (Lifecycle, "_delete"),
    "mend": (Lifecycle, "_mend"),
}
STEPS = (*STORE_STEPS, "produce", "ack", "commit")


def after(step: str, death: Death, call: Callable[..., Any]) -> Callable[..., Any]:
    """`call`, and death passing by when it is over."""

    async def wrapped(*arguments: Any, **named: Any) -> Any:
        result = await call(*arguments, **named)
        death.pass_by(step)
        return result

    return wrapped


def main() -> int:
    """Run until killed or told to stop."""
    death = Death(sys.argv[1], int(sys.argv[2]), Path("/dev/null"))
    strike_runtime(death)
    for step, (owner, name) in STORE_STEPS.items():
        setattr(owner, name, after(step, death, getattr(owner, name)))
    return worker.main("indexer", Settings, make)


if __name__ == "__main__":
    sys.exit(main())
