"""What indexer and resonance share: a model, the store it fills, and how a batch goes through both."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from vhm.anchors import AnchorRejectedError, AnchorStore, StoreUnavailableError
from vhm.contract.messages import InvalidMessageError
from vhm.embedding import Embedder, EmbeddingFailedError, EmbeddingUnavailableError
from vhm.runtime.handler import Outcome, Poison, Record, UnavailableError

T = TypeVar("T")
OpenStore = Callable[[], Awaitable[AnchorStore]]


class EmbeddingHandler(ABC, Generic[T]):
    """A worker that embeds and stores, or embeds and searches. See `runtime.handler.Handler`.

    `T` is a message as the worker reads it. Whatever is down makes the batch `UnavailableError`; what the
    model or the store can never take is found by halving the batch, and is the one that is refused.
    """

    def __init__(self, embedder: Embedder, open_store: OpenStore) -> None:
        """`open_store` is called once the model is open, and again after it raised StoreUnavailableError."""
        self._embedder = embedder
        self._open_store = open_store
        self._opened: AnchorStore | None = None

    @abstractmethod
    def _read(self, record: Record) -> T:
        """The message of a record. Raises InvalidMessageError."""

    @abstractmethod
    def _invalid(self, record: Record, error: InvalidMessageError) -> Poison:
        """What becomes of a record that holds no message."""

    @abstractmethod
    async def _work(self, messages: Sequence[T]) -> list[Outcome]:
        """Embed at once, ask the store at once; an outcome each, in order. Raises as model and store do."""

    @abstractmethod
    def _refused(self, message: T, error: EmbeddingFailedError | AnchorRejectedError) -> Poison:
        """What becomes of the one message that model or store can never take."""

    async def open(self) -> None:
        """Load the model, then find or make the collection it filled."""
        try:
            await self._embedder.open()
            self._opened = await self._open_store()
        except (EmbeddingUnavailableError, StoreUnavailableError) as error:
            raise UnavailableError(str(error)) from error

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        """The records of a batch go to the model and the store together; each outcome is its own."""
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
        return self._opened.not_ready() if self._opened else ["the store is not open yet"]

    def details(self) -> Sequence[str]:
        """Nothing beyond readiness."""
        return ()

    def drain(self, seconds: float) -> None:
        """Nothing to hurry: a batch is over in far less."""

    async def close(self) -> None:
        """Close the store, then the model."""
        if self._opened is not None:
            await self._opened.close()
        await self._embedder.close()

    @property
    def _store(self) -> AnchorStore:
        if self._opened is None:
            raise StoreUnavailableError("the store is not open yet")
        return self._opened
