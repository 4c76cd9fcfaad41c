"""Whether a collection may be used: what shape it has, which model filled it, and what to say if not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from vhm.anchors.errors import StoreMismatchError, StoreUnavailableError
from vhm.anchors.payload import MODEL_KEY

CURRENT_KEY = "vhm_current"
"""Metadata of a collection that was re-embedded: the name of the one that is used in its place."""

REINDEX = "`vhm reindex`"


class CollectionInfo(msgspec.Struct, frozen=True, kw_only=True):
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


def check_model(info: CollectionInfo, model: str, size: int) -> bool:
    """Whether `model` may use the collection as it is; False: it may once it was adopted, which is so
    for an empty one and for one that holds nothing but what we wrote ourselves before we noticed that
    others had recreated it. Raises StoreMismatchError."""
    holds = f"collection {info.name!r} holds"
    asked = f"EMBEDDING_MODEL={model} makes vectors of {size}"
    if info.size != size:
        known = f" of {info.model!r}" if info.model else ""
        raise StoreMismatchError(f"{holds} {info.shape}{known}, {asked} (cosine, unnamed): {_advice(info)}")
    if info.model is not None and info.model != model:
        raise StoreMismatchError(
            f"{holds} vectors of {info.model!r}, EMBEDDING_MODEL={model}: {_advice(info)}"
        )
    if info.model is None and info.foreign:
        raise StoreMismatchError(
            f"{holds} {info.points} points and does not say which model made them, {asked}: "
            f"{REINDEX} adopts it if {model!r} did, else re-embeds it"
        )
    return info.model is not None


def moved_error(name: str, current: CollectionInfo) -> StoreUnavailableError:
    """What writers are told once `current` has taken the place of the collection they were opened on."""
    return StoreUnavailableError(
        f"collection {name!r} was re-embedded into {current.name!r}: anchors wait until the workers run "
        f"with EMBEDDING_MODEL={current.model} (recall goes on from what was stored before)"
    )


def missing_error(info: CollectionInfo) -> StoreMismatchError:
    """What is said when the collection that took this one's place is missing."""
    return StoreMismatchError(
        f"collection {info.name!r} says that {info.current!r} took its place, which is not there: "
        f"restore it from a snapshot, or run {REINDEX}"
    )


def target_name(base: str, model: str) -> str:
    """The collection that holds what `base` holds, re-embedded by `model`."""
    return f"{base}@{re.sub(r'[^A-Za-z0-9._-]', '-', model)}"


def belongs(base: str, name: str, metadata: Mapping[str, Any]) -> bool:
    """Whether a collection is `base` or holds what that holds, re-embedded."""
    model = metadata.get(MODEL_KEY)
    return name == base or (isinstance(model, str) and name == target_name(base, model))


def _advice(info: CollectionInfo) -> str:
    back = f"set EMBEDDING_MODEL={info.model}, or " if info.model else ""
    return f"{back}re-embed it with {REINDEX}"
