"""Whether a collection may be used: what shape it has, which model filled it, and what to say if not."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from vhm.anchors.errors import StoreMismatchError, StoreUnavailableError
from vhm.anchors.payload import MODEL_KEY

CURRENT_KEY = "vhm_current"
"""Metadata of a collection that was re-embedded: the name of the one that is used in its place."""

REINDEX = "`vhm reindex`"


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """A collection as it is. `shape` says what its vectors are, `size` is None unless they are a single
    unnamed cosine vector; `foreign` counts points that do not say that `model` made them."""

    name: str
    shape: str
    size: int | None
    metadata: dict[str, Any] = {}
    points: int = 0
    foreign: int = 0
    indexed: frozenset[str] = frozenset()
    sparse: frozenset[str] = frozenset()

    @property
    def model(self) -> str | None:
        """The model that fills it, where it is known."""
        model = self.metadata.get(MODEL_KEY)
        return model if isinstance(model, str) else None

    @property
    def current(self) -> str | None:
        """The collection that took its place."""
        current = self.metadata.get(CURRENT_KEY)
        return current if isinstance(current, str) else None


def fits(facts: Facts, model: str, size: int) -> bool:
    """Whether `model` may use the collection as it is; False: it may once it was adopted, which is so
    for an empty one and for one that holds nothing but what we wrote ourselves before we noticed that
    others had recreated it. Raises StoreMismatchError."""
    holds = f"collection {facts.name!r} holds"
    wanted = f"EMBEDDING_MODEL={model} makes vectors of {size}"
    if facts.size != size:
        known = f" of {facts.model!r}" if facts.model else ""
        raise StoreMismatchError(
            f"{holds} {facts.shape}{known}, {wanted} (cosine, unnamed): {_advice(facts)}"
        )
    if facts.model is not None and facts.model != model:
        raise StoreMismatchError(
            f"{holds} vectors of {facts.model!r}, EMBEDDING_MODEL={model}: {_advice(facts)}"
        )
    if facts.model is None and facts.foreign:
        raise StoreMismatchError(
            f"{holds} {facts.points} points and does not say which model made them, {wanted}: "
            f"{REINDEX} adopts it if {model!r} did, else re-embeds it"
        )
    return facts.model is not None


def moved(name: str, current: Facts) -> StoreUnavailableError:
    """What writers are told once `current` has taken the place of the collection they were opened on."""
    return StoreUnavailableError(
        f"collection {name!r} was re-embedded into {current.name!r}: anchors wait until the workers run "
        f"with EMBEDDING_MODEL={current.model} (recall goes on from what was stored before)"
    )


def gone(facts: Facts) -> StoreMismatchError:
    """What is said when the collection that took this one's place is missing."""
    return StoreMismatchError(
        f"collection {facts.name!r} says that {facts.current!r} took its place, which is not there: "
        f"restore it from a snapshot, or run {REINDEX}"
    )


def target_name(base: str, model: str) -> str:
    """The collection that holds what `base` holds, re-embedded by `model`."""
    return f"{base}@{re.sub(r'[^A-Za-z0-9._-]', '-', model)}"


def _advice(facts: Facts) -> str:
    back = f"set EMBEDDING_MODEL={facts.model}, or " if facts.model else ""
    return f"{back}re-embed it with {REINDEX}"
