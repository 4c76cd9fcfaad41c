"""What embedding through a provider takes, whichever it is: batches, patience, and trust in no answer.

A provider that fails is tried again and then reported; no other model's vectors ever stand in.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Protocol

import msgspec
import numpy as np
import stamina

from vhm.embedding import calibration
from vhm.embedding.errors import Fault, Kind, odd
from vhm.embedding.protocol import (
    Calibration,
    EmbeddingFailedError,
    EmbeddingUnavailableError,
    Vectors,
    encodable,
    unit,
)

KNOWN_SIZES = {
    "nomic-embed-text": 768,
    "mxbai-embed-large": 1024,
    "bge-m3": 1024,
    "cohere-embed-v3": 1024,
    "text-embedding-3-small": 1536,
}
BATCH_TEXTS, BATCH_CHARACTERS = 64, 60_000
"""Most texts and characters in one call (a longer text goes alone)."""
CALLS = 4
"""Most calls at once."""
DIVISIBLE = 512
"""Characters from which on a text that a provider refuses is tried in two halves."""
PATIENT = 20.0
"""Most seconds a call waits because a provider asked it to; longer ones are reported instead."""


class Provider(Protocol):
    """One provider's way to call one model."""

    name: str
    """Provider and model as in EMBEDDING_MODEL."""
    where: str
    """Its address, for people."""

    async def vectors(self, texts: Sequence[str]) -> list[list[float]]:
        """One call, not repeated. Raises Fault."""
        ...

    async def close(self) -> None:
        """Close its connections."""
        ...


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds for one call, tries in all, seconds after which no try begins, seconds before the second."""

    call: float = 30.0
    tries: int = 4
    overall: float = 45.0
    pause: float = 0.25


class Remote:
    """Embedder through a provider."""

    def __init__(self, provider: Provider, patience: Patience | None = None) -> None:
        self.name = provider.name
        self.size = 0
        self.calibration = Calibration()
        self._provider = provider
        self._patience = patience or Patience()
        self._slots = asyncio.Semaphore(CALLS)
        self._resting = (0.0, "")

    async def open(self) -> None:
        """One call: measures the vectors' size and how this model's cosines read."""
        model = self.name.partition(":")[2]
        known = KNOWN_SIZES.get(model.rpartition("/")[2].partition(":")[0], 0)
        try:
            vectors = await self._called(calibration.TEXTS)
        except Fault as fault:
            raise self._unavailable(str(fault)) from fault
        size = vectors.shape[1]
        if known and size != known:
            raise self._unavailable(f"vectors of {size} numbers, {model} has {known}: another model is there")
        self._same_size(size)
        self.size, self.calibration = size, calibration.calibration(vectors)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """See Embedder.embed."""
        if not self.size:
            raise self._unavailable("not tried yet")
        encodable(texts)
        bounds = _bounds(texts)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._divided(texts[start:end], start)) for start, end in bounds]
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures
        return np.concatenate([np.zeros((0, self.size), np.float32), *(task.result() for task in tasks)])

    async def close(self) -> None:
        """See Embedder.close."""
        await self._provider.close()

    async def _divided(self, texts: Sequence[str], place: int) -> Vectors:
        """Vectors of a batch; when the provider works but not for these, of its halves, to the single text
        that is at fault, and of the halves of that, in case it is only too long. `place`: of the first."""
        try:
            vectors = await self._called(texts)
        except Fault as fault:
            if fault.kind not in (Kind.TEXTS, Kind.ODD):
                raise self._unavailable(str(fault)) from fault
            await self._works_otherwise(fault)
            if len(texts) > 1:
                middle = len(texts) // 2
                first = await self._divided(texts[:middle], place)
                return np.concatenate([first, await self._divided(texts[middle:], place + middle)])
            if len(texts[0]) < DIVISIBLE:
                raise EmbeddingFailedError(
                    f"{self.name} at {self._provider.where}: {fault}", place
                ) from fault
            halves = _halves(texts[0])
            one, other = [await self._divided([half], place) for half in halves]
            return unit(one * len(halves[0]) + other * len(halves[1]))
        self._same_size(vectors.shape[1])
        return vectors

    async def _works_otherwise(self, fault: Fault) -> None:
        try:
            await self._called(calibration.TEXTS[:1])
        except Fault:
            raise self._unavailable(str(fault)) from fault

    async def _called(self, texts: Sequence[str]) -> Vectors:
        """One call, repeated while that may help. Raises the last Fault."""
        patience = self._patience
        until, why = self._resting
        if time.monotonic() < until:
            raise Fault(why, Kind.DOWN)
        async for attempt in stamina.retry_context(
            on=_again,
            attempts=patience.tries,
            timeout=patience.overall,
            wait_initial=patience.pause,
            wait_jitter=patience.pause,
        ):
            with attempt:
                async with self._slots:
                    return await self._once(texts)
        raise AssertionError("stamina returns or raises")

    async def _once(self, texts: Sequence[str]) -> Vectors:
        try:
            async with asyncio.timeout(self._patience.call):
                rows = await self._provider.vectors(texts)
        except TimeoutError:
            raise Fault(f"no answer within {self._patience.call:g} s", Kind.DOWN) from None
        except Fault as fault:
            if fault.wait > PATIENT:
                self._resting = (time.monotonic() + fault.wait, str(fault))
            raise
        if len(rows) != len(texts):
            raise odd(f"{len(rows)} vectors for {len(texts)} texts")
        try:
            vectors = np.array(rows, dtype=np.float32)
        except (TypeError, ValueError):
            raise odd("vectors that differ in size or hold more than numbers") from None
        if vectors.ndim != 2 or not vectors.shape[1]:
            raise odd("no vectors")
        if not np.isfinite(vectors).all() or not vectors.any(axis=1).all():
            raise odd("vectors that hold NaN or infinity, or nothing but zeros")
        return unit(vectors)

    def _same_size(self, size: int) -> None:
        if self.size and size != self.size:
            raise self._unavailable(
                f"vectors of {size} numbers where there were {self.size}: the model changed"
            )

    def _unavailable(self, why: str) -> EmbeddingUnavailableError:
        return EmbeddingUnavailableError(f"{self.name} at {self._provider.where}: {why}")


def _again(error: Exception) -> bool | float:
    if not isinstance(error, Fault) or error.kind not in (Kind.DOWN, Kind.ODD) or error.wait > PATIENT:
        return False
    return error.wait or True


def _bounds(texts: Sequence[str]) -> list[tuple[int, int]]:
    bounds: list[tuple[int, int]] = []
    start = characters = 0
    for index, text in enumerate(texts):
        if index > start and (index - start == BATCH_TEXTS or characters + len(text) > BATCH_CHARACTERS):
            bounds.append((start, index))
            start, characters = index, 0
        characters += len(text)
    return [*bounds, (start, len(texts))] if texts else []


def _halves(text: str) -> tuple[str, str]:
    """Cut at the white space nearest the middle, if there is any near it."""
    middle = len(text) // 2
    reach = middle // 2
    spots = [i for i in range(middle - reach, middle + reach) if text[i].isspace()]
    cut = min(spots, key=lambda spot: abs(spot - middle), default=middle)
    return text[:cut], text[cut:]
