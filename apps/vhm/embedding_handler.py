"""What indexer and resonance share: the way of a batch through a model and a store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

from vhm.anchors import AnchorRejectedError, AnchorStore, StoreUnavailableError
from vhm.contract.messages import InvalidMessageError
from vhm.embedding import Embedder, EmbeddingFailedError, EmbeddingUnavailableError
from vhm.runtime.handler import Outcome, Poison, Record, UnavailableError

T = TypeVar("T")


class EmbeddingHandler(ABC, Generic[T]):
    """A `Handler` that embeds and stores, or embeds and searches. `T` is a message as the worker decodes it.

    When the model or the store is down, the whole batch raises UnavailableError. A message that one of them
    can never take is found by halving the batch, and it alone is refused.
    """

    def __init__(self, embedder: Embedder, store: AnchorStore) -> None:
        self._embedder = embedder
        self._store = store

    @abstractmethod
    def _read(self, record: Record) -> T:
        """Decode a record. Raises InvalidMessageError."""

    @abstractmethod
    def _invalid(self, record: Record, error: InvalidMessageError) -> Poison:
        """The outcome of a record that cannot be decoded."""

    @abstractmethod
    async def _work(self, messages: Sequence[T]) -> list[Outcome]:
        """One outcome for each message, in order, by one call of the model and one of the store."""

    @abstractmethod
    def _refused(self, message: T, error: EmbeddingFailedError | AnchorRejectedError) -> Poison:
        """The outcome of a message that the model or the store can never take."""

    async def open(self) -> None:
        """Load the model, then open its collection or create it. Raises UnavailableError."""
        try:
            await self._embedder.open()
            await self._store.open()
        except (EmbeddingUnavailableError, StoreUnavailableError) as error:
            raise UnavailableError(str(error)) from error

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        """See `Handler`."""
        outcomes: dict[int, Outcome] = {}
        good: dict[int, T] = {}
        for index, record in enumerate(records):
            try:
                good[index] = self._read(record)
            except InvalidMessageError as error:
                outcomes[index] = self._invalid(record, error)
        if good:
            worked = await self._work_or_halve(list(good.values()))
            outcomes.update(zip(good, worked, strict=True))
        return [outcomes[index] for index in range(len(records))]

    async def _work_or_halve(self, messages: Sequence[T]) -> list[Outcome]:
        try:
            return await self._work(messages)
        except (EmbeddingUnavailableError, StoreUnavailableError) as error:
            raise UnavailableError(str(error)) from error
        except (EmbeddingFailedError, AnchorRejectedError) as error:
            if len(messages) == 1:
                return [self._refused(messages[0], error)]
        middle = len(messages) // 2
        first = await self._work_or_halve(messages[:middle])
        return first + await self._work_or_halve(messages[middle:])

    async def not_ready(self) -> Sequence[str]:
        """See `Handler.not_ready`."""
        return await self._store.not_ready()

    def details(self) -> Sequence[str]:
        """See `Handler`. None."""
        return ()

    def drain(self, seconds: float) -> None:
        """See `Handler`. A batch is over in far less than any timeout."""

    async def close(self) -> None:
        """Close the store, then the model."""
        await self._store.close()
        await self._embedder.close()
