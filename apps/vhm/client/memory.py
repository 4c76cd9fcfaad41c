"""`AsyncMemory` and `Memory`: remember, recall, forget, and reading what is stored, of one owner."""

from __future__ import annotations

import asyncio
import functools
import threading
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

from vhm.client.errors import Refused
from vhm.client.fields import anchor_of, checked
from vhm.client.results import Receipt, Recollection
from vhm.client.transport import ANSWER_SECONDS, CLOSE_SECONDS, Listing, Pending, Transport
from vhm.contract.messages import Anchor, AnchorsForget, RecallRequest
from vhm.contract.rest import BEATS, StoredAnchor

T = TypeVar("T")
P = ParamSpec("P")

AHEAD = 1_000
"""Most memories of `remember_many` without a receipt at once."""


class AsyncMemory:
    """The memory of one owner, for asyncio. `of` gives that of another on the same connection.

    An async context manager; without `async with`, call `open` and `close`. Every verb raises Refused or
    Unavailable."""

    def __init__(self, transport: Transport, owner: str = "") -> None:
        self._transport = transport
        self.owner = owner

    @classmethod
    def connect(
        cls, url: str | None = None, *, key: str | None = None, environment: Mapping[str, str] | None = None
    ) -> AsyncMemory:
        """The system that runs already: the gateway at `url` or VHM_URL, else the broker that
        KAFKA_BOOTSTRAP_SERVERS names, else the `vhm up` of this machine."""
        from vhm.client.connect import transport

        return cls(transport(url, key, environment))

    @classmethod
    def local(
        cls, path: str | Path | None = None, *, environment: Mapping[str, str] | None = None
    ) -> AsyncMemory:
        """The whole system within this process; kept in the folder `path`, else in memory."""
        from vhm.client.local import LocalTransport

        return cls(LocalTransport(Path(path) if path else None, environment))

    def of(self, owner: str) -> AsyncMemory:
        """The memory of `owner`, on this connection."""
        return AsyncMemory(self._transport, owner)

    async def open(self) -> None:
        """Connect."""
        await self._transport.open()

    async def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Wait up to `seconds` until what was handed over is stored, then disconnect."""
        await self._transport.close(seconds)

    async def __aenter__(self) -> AsyncMemory:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def remember(
        self,
        text: str,
        *,
        at: datetime | None = None,
        salience: float = 1.0,
        session: str | None = None,
        speaker: str | None = None,
        meta: Mapping[str, Any] | None = None,
        supersedes: Sequence[uuid.UUID | str] = (),
        expires_at: datetime | None = None,
        anchor_id: uuid.UUID | str | None = None,
    ) -> Pending:
        """Hand a memory over; `await pending.wait()` returns its receipt when it can be recalled.

        `at` is when it was (now, if not given); a time without a zone is local. `salience` is 0.3 to 2.5."""
        fields = {
            "text": text,
            "stored_at": _aware(at),
            "salience": salience,
            "session": session,
            "speaker": speaker,
            "meta": meta or {},
            "supersedes": list(supersedes),
            "expires_at": _aware(expires_at),
            "anchor_id": anchor_id,
        }
        return await self._transport.remember(anchor_of(self.owner, fields), filled=at is None)

    async def remember_many(
        self, anchors: Iterable[Anchor], *, seconds: float = ANSWER_SECONDS
    ) -> AsyncIterator[Receipt | Refused]:
        """Hand many over, at most 1 000 ahead; returns the outcome of each, in order. `seconds` bounds the
        wait for one receipt."""
        ahead: deque[Pending | Refused] = deque()
        for anchor in anchors:
            try:
                ahead.append(await self._transport.remember(_owned(anchor, self.owner), filled=False))
            except Refused as refused:
                ahead.append(refused)
            if len(ahead) >= AHEAD:
                yield await _outcome(ahead.popleft(), seconds)
        while ahead:
            yield await _outcome(ahead.popleft(), seconds)

    async def recall(
        self,
        question: str,
        *,
        k: int = BEATS,
        now: datetime | None = None,
        session: str | None = None,
        at_least: float | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        where: Mapping[str, str | int | bool] | None = None,
        ignore: Sequence[uuid.UUID | str] = (),
        explain: int = 0,
        tell: bool = True,
        seconds: float = ANSWER_SECONDS,
    ) -> Recollection:
        """What is remembered about `question`: at most `k` beats, strongest first, and their story.

        `session` is the one that asks, whose own memories are left out; `at_least` bounds the match of each
        beat, 0 to 1; `where` compares top-level keys of meta; `explain` candidates say why they were left
        out. One's own memories are recalled as soon as their receipt is there."""
        fields = {
            "query": question,
            "top_k": k,
            "now": _aware(now) or datetime.now().astimezone(),
            "session_id": session,
            "at_least": at_least,
            "since": _aware(since),
            "until": _aware(until),
            "where": dict(where or {}),
            "ignore_anchor_ids": list(ignore),
            "owner": self.owner,
            "min_age_seconds": 0,
        }
        request = checked(RecallRequest, fields)
        return await self._transport.recall(request, tell=tell, explain=explain, seconds=seconds)

    async def get(self, anchor_id: uuid.UUID | str) -> StoredAnchor | None:
        """The memory of that id, and what supersedes it; None when there is none."""
        return await self._transport.get(self.owner, _identity(anchor_id))

    async def memories(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        where: Mapping[str, str | int | bool] | None = None,
    ) -> AsyncIterator[StoredAnchor]:
        """All memories, newest first, read as they are iterated over."""
        cursor: str | None = None
        while True:
            listing = Listing(
                owner=self.owner, since=_aware(since), until=_aware(until), where=where or {}, cursor=cursor
            )
            page = await self._transport.page(listing)
            for anchor in page.memories:
                yield anchor
            cursor = page.next
            if cursor is None:
                return

    async def export(self) -> AsyncIterator[Anchor]:
        """All memories as they were written, as `vhm export` writes them."""
        async for stored in self.memories():
            yield stored.anchor

    async def forget(
        self,
        *anchor_ids: uuid.UUID | str,
        session: str | None = None,
        before: datetime | None = None,
        everything: bool = False,
        seconds: float = ANSWER_SECONDS,
    ) -> int:
        """Forget by ids, by session, what was said before a moment, or everything: exactly one of them.
        Returns how many memories are gone; no recall brings one of them back."""
        fields = {
            "owner": self.owner,
            "anchor_ids": list(anchor_ids) or None,
            "session": session,
            "before": _aware(before),
            "everything": True if everything else None,
        }
        return await self._transport.forget(checked(AnchorsForget, fields), seconds=seconds)


class Sent:
    """A memory that has been handed over; `wait` returns its receipt."""

    def __init__(self, pending: Pending, loop: _Loop) -> None:
        self._pending = pending
        self._loop = loop
        self.anchor_id = pending.anchor_id

    def wait(self, seconds: float = ANSWER_SECONDS) -> Receipt:
        """Return when it is stored. Raises Refused or Unavailable."""
        return self._loop.run(self._pending.wait(seconds))


def _waiting(
    verb: Callable[Concatenate[AsyncMemory, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Memory, P], T]:
    """The verb with the same arguments; it returns when it is done."""

    @functools.wraps(verb)
    def called(self: Memory, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._loop.run(verb(self._memory, *args, **kwargs))

    return called


def _handing_over(
    verb: Callable[Concatenate[AsyncMemory, P], Coroutine[Any, Any, Pending]],
) -> Callable[Concatenate[Memory, P], Sent]:
    """The verb with the same arguments; `.wait()` of what it returns returns the receipt."""

    @functools.wraps(verb)
    def called(self: Memory, /, *args: P.args, **kwargs: P.kwargs) -> Sent:
        return Sent(self._loop.run(verb(self._memory, *args, **kwargs)), self._loop)

    return called


def _iterating(
    verb: Callable[Concatenate[AsyncMemory, P], AsyncIterator[T]],
) -> Callable[Concatenate[Memory, P], Iterator[T]]:
    """The verb with the same arguments; each item is fetched when it is asked for."""

    @functools.wraps(verb)
    def called(self: Memory, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return self._loop.iterate(verb(self._memory, *args, **kwargs))

    return called


class Memory:
    """`AsyncMemory` for code without asyncio: its verbs, with their arguments; safe to share between
    threads."""

    def __init__(self, memory: AsyncMemory, loop: _Loop | None = None) -> None:
        self._memory = memory
        self._loop = loop or _Loop()
        self.owner = memory.owner

    @classmethod
    def connect(
        cls, url: str | None = None, *, key: str | None = None, environment: Mapping[str, str] | None = None
    ) -> Memory:
        """See `AsyncMemory.connect`."""
        return cls(AsyncMemory.connect(url, key=key, environment=environment))

    @classmethod
    def local(cls, path: str | Path | None = None, *, environment: Mapping[str, str] | None = None) -> Memory:
        """See `AsyncMemory.local`."""
        return cls(AsyncMemory.local(path, environment=environment))

    def of(self, owner: str) -> Memory:
        """The memory of `owner`, on this connection."""
        return Memory(self._memory.of(owner), self._loop)

    def open(self) -> None:
        """Connect."""
        self._loop.start()
        try:
            self._loop.run(self._memory.open())
        except BaseException:
            self._loop.stop()
            raise

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """See `AsyncMemory.close`."""
        try:
            self._loop.run(self._memory.close(seconds))
        finally:
            self._loop.stop()

    def __enter__(self) -> Memory:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # whoever interrupts does not want to wait
        self.close(0.0 if kind is not None and issubclass(kind, KeyboardInterrupt) else CLOSE_SECONDS)

    remember = _handing_over(AsyncMemory.remember)
    remember_many = _iterating(AsyncMemory.remember_many)
    recall = _waiting(AsyncMemory.recall)
    get = _waiting(AsyncMemory.get)
    memories = _iterating(AsyncMemory.memories)
    export = _iterating(AsyncMemory.export)
    forget = _waiting(AsyncMemory.forget)


class _Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; returns when the loop runs."""
        running: Future[asyncio.AbstractEventLoop] = Future()

        async def live() -> None:
            stop = asyncio.Event()
            self._stop = stop
            running.set_result(asyncio.get_running_loop())
            await stop.wait()

        self._thread = threading.Thread(target=asyncio.run, args=(live(),), name="vhm-memory", daemon=True)
        self._thread.start()
        self._loop = running.result()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The coroutine's result."""
        if self._loop is None:
            work.close()
            raise RuntimeError("this Memory is not open: use `with Memory.connect() as memory:`")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def iterate(self, items: AsyncIterator[T]) -> Iterator[T]:
        """The items, each fetched when it is asked for."""

        async def following() -> T:
            return await anext(items)

        while True:
            try:
                item = self.run(following())
            except StopAsyncIteration:
                return
            yield item

    def stop(self) -> None:
        """End the loop and its thread."""
        loop, self._loop = self._loop, None
        if loop is not None and self._thread is not None:
            loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()


def _owned(anchor: Anchor, owner: str) -> Anchor:
    """The anchor as `owner` would write it, whatever the store said of it."""
    fields = {name: getattr(anchor, name) for name in Anchor.__struct_fields__}
    return Anchor(**{**fields, "owner": owner})


def _aware(moment: datetime | None) -> datetime | None:
    """A moment without a zone is local."""
    return moment.astimezone() if moment is not None and moment.tzinfo is None else moment


def _identity(anchor_id: uuid.UUID | str) -> uuid.UUID:
    if isinstance(anchor_id, uuid.UUID):
        return anchor_id
    try:
        return uuid.UUID(anchor_id)
    except ValueError:
        raise Refused([f"anchor_id: expected a UUID, got {anchor_id[:80]!r}"]) from None


async def _outcome(handed: Pending | Refused, seconds: float) -> Receipt | Refused:
    if isinstance(handed, Refused):
        return handed
    try:
        return await handed.wait(seconds)
    except Refused as refused:
        return refused
