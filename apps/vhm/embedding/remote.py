"""Embedding through a provider, whichever it is: batches, retries, and answers that are checked.

A provider that keeps failing is reported; vectors of another model never take its place.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import msgspec
import numpy as np
import stamina

from vhm.embedding import calibration
from vhm.embedding.errors import EmbeddingFailedError, EmbeddingUnavailableError
from vhm.embedding.protocol import Calibration, EmbeddingProvider, Vectors, check_unicode, normalized
from vhm.provider_errors import FailureKind, ProviderError, bad_answer

KNOWN_SIZES = {
    "nomic-embed-text": 768,
    "mxbai-embed-large": 1024,
    "bge-m3": 1024,
    "cohere-embed-v3": 1024,
    "text-embedding-3-small": 1536,
}
"""Numbers in a vector of well-known models: another size means that another model answers."""

BATCH_TEXTS, BATCH_CHARACTERS = 64, 60_000
"""Most texts and characters in one call; a longer text goes alone."""

MAX_CALLS = 4
"""Most calls at once."""

HALVED_CHARACTERS = 512
"""Length from which a text that the provider refuses is embedded in two halves, in case it is too long."""

MAX_RETRY_AFTER = 20.0
"""Most seconds that a call waits because the provider asked for it; a longer wait is reported instead."""


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """`call`: seconds for one call. `tries`: calls in all. `overall`: seconds after which none begins.
    `pause`: seconds before the second."""

    call: float = 30.0
    tries: int = 4
    overall: float = 45.0
    pause: float = 0.25


class RemoteEmbedder:
    """Embedder through a provider."""

    def __init__(self, provider: EmbeddingProvider, policy: RetryPolicy | None = None) -> None:
        self.name = provider.name
        self.size = 0
        self.calibration = Calibration()
        self._provider = provider
        self._policy = policy or RetryPolicy()
        self._slots = asyncio.Semaphore(MAX_CALLS)
        self._closed_until = (0.0, "")
        """Until when the provider asked not to be called, on the monotonic clock, and in which words."""

    async def open(self) -> None:
        """See `Embedder`. One call finds out the size of the vectors and the calibration."""
        model = self.name.partition(":")[2]
        known = KNOWN_SIZES.get(model.rpartition("/")[2].partition(":")[0], 0)
        try:
            vectors = await self._call(calibration.TEXTS)
        except ProviderError as error:
            raise self._unavailable(str(error)) from error
        size = vectors.shape[1]
        if known and size != known:
            raise self._unavailable(f"vectors of {size} numbers, {model} has {known}: another model is there")
        self._check_size(size)
        self.size, self.calibration = size, calibration.calibrate(vectors)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder`."""
        if not self.size:
            raise self._unavailable("not open yet")
        check_unicode(texts)
        spans = _batch_spans(texts)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._embed_batch(texts[start:end], start)) for start, end in spans
                ]
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures
        return np.concatenate([np.zeros((0, self.size), np.float32), *(task.result() for task in tasks)])

    async def close(self) -> None:
        """See `Embedder`."""
        await self._provider.close()

    async def _embed_batch(self, texts: Sequence[str], index: int) -> Vectors:
        """Vectors of a batch whose first text has this index.

        When the provider works but refuses these texts, the batch is halved until the text at fault is alone;
        that is then embedded in halves, in case it is too long for the model.
        """
        try:
            vectors = await self._call(texts)
        except ProviderError as error:
            if error.kind not in (FailureKind.BAD_INPUT, FailureKind.BAD_ANSWER):
                raise self._unavailable(str(error)) from error
            await self._check_provider(error)
            if len(texts) > 1:
                middle = len(texts) // 2
                first = await self._embed_batch(texts[:middle], index)
                return np.concatenate([first, await self._embed_batch(texts[middle:], index + middle)])
            if len(texts[0]) < HALVED_CHARACTERS:
                raise EmbeddingFailedError(
                    f"{self.name} at {self._provider.address}: {error}", index
                ) from error
            halves = _halves(texts[0])
            one, other = [await self._embed_batch([half], index) for half in halves]
            return normalized(one * len(halves[0]) + other * len(halves[1]))
        self._check_size(vectors.shape[1])
        return vectors

    async def _check_provider(self, error: ProviderError) -> None:
        """Raises EmbeddingUnavailableError for `error` unless the provider embeds a text known to work."""
        try:
            await self._call(calibration.TEXTS[:1])
        except ProviderError:
            raise self._unavailable(str(error)) from error

    async def _call(self, texts: Sequence[str]) -> Vectors:
        """One call, retried while that may help. Raises the last ProviderError."""
        policy = self._policy
        until, why = self._closed_until
        if time.monotonic() < until:
            raise ProviderError(why, FailureKind.UNAVAILABLE)
        async for attempt in stamina.retry_context(
            on=_retry,
            attempts=policy.tries,
            timeout=policy.overall,
            wait_initial=policy.pause,
            wait_jitter=policy.pause,
        ):
            with attempt:
                async with self._slots:
                    return await self._call_once(texts)
        raise AssertionError("stamina returns or raises")

    async def _call_once(self, texts: Sequence[str]) -> Vectors:
        try:
            async with asyncio.timeout(self._policy.call):
                rows = await self._provider.vectors(texts)
        except TimeoutError:
            raise ProviderError(
                f"no answer within {self._policy.call:g} s", FailureKind.UNAVAILABLE
            ) from None
        except ProviderError as error:
            if error.retry_after > MAX_RETRY_AFTER:
                self._closed_until = (time.monotonic() + error.retry_after, str(error))
            raise
        if len(rows) != len(texts):
            raise bad_answer(f"{len(rows)} vectors for {len(texts)} texts")
        try:
            vectors = np.array(rows, dtype=np.float32)
        except (TypeError, ValueError):
            raise bad_answer("vectors that differ in size or hold more than numbers") from None
        if vectors.ndim != 2 or not vectors.shape[1]:
            raise bad_answer("no vectors")
        if not np.isfinite(vectors).all() or not vectors.any(axis=1).all():
            raise bad_answer("vectors that hold NaN or infinity, or nothing but zeros")
        return normalized(vectors)

    def _check_size(self, size: int) -> None:
        if self.size and size != self.size:
            raise self._unavailable(
                f"vectors of {size} numbers where there were {self.size}: the model changed"
            )

    def _unavailable(self, why: str) -> EmbeddingUnavailableError:
        return EmbeddingUnavailableError(f"{self.name} at {self._provider.address}: {why}")


def _retry(error: Exception) -> bool | float:
    """Whether to call again, or after how many seconds (stamina's backoff hook)."""
    if not isinstance(error, ProviderError) or error.retry_after > MAX_RETRY_AFTER:
        return False
    if error.kind not in (FailureKind.UNAVAILABLE, FailureKind.BAD_ANSWER):
        return False
    return error.retry_after or True


def _batch_spans(texts: Sequence[str]) -> list[tuple[int, int]]:
    bounds: list[tuple[int, int]] = []
    start = characters = 0
    for index, text in enumerate(texts):
        if index > start and (index - start == BATCH_TEXTS or characters + len(text) > BATCH_CHARACTERS):
            bounds.append((start, index))
            start, characters = index, 0
        characters += len(text)
    return [*bounds, (start, len(texts))] if texts else []


def _halves(text: str) -> tuple[str, str]:
    """A text split at the white space nearest to its middle, within a quarter of its length."""
    middle = len(text) // 2
    reach = middle // 2
    spots = [i for i in range(middle - reach, middle + reach) if text[i].isspace()]
    cut = min(spots, key=lambda spot: abs(spot - middle), default=middle)
    return text[:cut], text[cut:]
