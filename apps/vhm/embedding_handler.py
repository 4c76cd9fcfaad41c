"""What indexer and resonance share: the way of a batch through a model and a store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import msgspec

from vhm.anchors import AnchorRejectedError, AnchorStore, StoreUnavailableError
from vhm.contract.messages import InvalidMessageError
from vhm.embedding import Embedder, EmbeddingFailedError, EmbeddingUnavailableError
from vhm.runtime.handler import Outcome, Outgoing, Poison, Record, UnavailableError

T = TypeVar("T")
UnknownNames = tuple[str, ...]
OpenStore = Callable[[], Awaitable[AnchorStore]]


class EmbeddingHandler(ABC, Generic[T]):
    """A `Handler` that embeds and stores, or embeds and searches. `T` is a message as the worker decodes it.

    When the model or the store is down, the whole batch raises UnavailableError. A message that one of them
    can never take is found by halving the batch, and it alone is refused.
    """

    def __init__(self, embedder: Embedder, open_store: OpenStore) -> None:
        """`open_store` is called once the model is open, and again after it raised StoreUnavailableError."""
        self._embedder = embedder
        self._open_store = open_store
        self._opened: AnchorStore | None = None

    @abstractmethod
    def _read(self, record: Record) -> tuple[T, UnknownNames]:
        """The decoded message, and the names of its unknown fields. Raises InvalidMessageError."""

    @abstractmethod
    def _invalid(self, record: Record, error: InvalidMessageError) -> Poison:
        """The outcome of a record that cannot be decoded."""

    @abstractmethod
    async def _work(self, messages: Sequence[T]) -> list[Outcome]:
        """One outcome for each message, in order, by one call of the model and one of the store."""

    @abstractmethod
    def _refused(self, message: T, error: EmbeddingFailedError | AnchorRejectedError) -> Poison:
        """The outcome of a message that the model or the store can never take."""

    @abstractmethod
    def _failed(self, message: T, error: str) -> Outgoing:
        """The answer to a message that could not be handled."""

    async def open(self) -> None:
        """Load the model, then open its collection or create it. Raises UnavailableError."""
        try:
            await self._embedder.open()
            self._opened = await self._open_store()
        except (EmbeddingUnavailableError, StoreUnavailableError) as error:
            raise UnavailableError(str(error)) from error

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        """See `Handler`."""
        outcomes: dict[int, Outcome] = {}
        good: dict[int, T] = {}
        unknown: dict[int, UnknownNames] = {}
        for index, record in enumerate(records):
            try:
                good[index], names = self._read(record)
                if names:
                    unknown[index] = names
            except InvalidMessageError as error:
                outcomes[index] = self._invalid(record, error)
        if good:
            worked = await self._work_or_halve(list(good.values()))
            outcomes.update(zip(good, worked, strict=True))
        for index, names in unknown.items():
            outcomes[index] = msgspec.structs.replace(outcomes[index], unknown_fields=names)
        return [outcomes[index] for index in range(len(records))]

    def failed(self, record: Record, error: str) -> Sequence[Outgoing]:
        """See `Handler`."""
        try:
            message, _ = self._read(record)
        except InvalidMessageError:
            return ()
        return (self._failed(message, error),)

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
        """See `Handler`. The store's reasons."""
        return self._opened.not_ready() if self._opened else ["the store is not open yet"]

    def details(self) -> Sequence[str]:
        """See `Handler`. None."""
        return ()

    def drain(self, seconds: float) -> None:
        """See `Handler`. A batch is over in far less than any timeout."""

    async def close(self) -> None:
        """See `Handler`. The store first, then the model."""
        if self._opened is not None:
            await self._opened.close()
        await self._embedder.close()

    @property
    def _store(self) -> AnchorStore:
        if self._opened is None:
            raise StoreUnavailableError("the store is not open yet")
        return self._opened
