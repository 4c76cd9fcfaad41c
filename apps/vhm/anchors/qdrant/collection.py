"""The collection behind QDRANT_COLLECTION: made, adopted, watched, never wiped."""

from __future__ import annotations

import asyncio
import contextlib
import time

import structlog

from vhm.anchors.compatibility import Facts, fits, gone, moved
from vhm.anchors.errors import StoreMismatchError, StoreUnavailableError
from vhm.anchors.payload import MODEL_KEY
from vhm.anchors.qdrant import sparse
from vhm.anchors.qdrant.client import Connection, Missing
from vhm.anchors.qdrant.collections import Collections
from vhm.anchors.types import Model

log = structlog.get_logger("vhm.anchors")

LOOK_EVERY_SECONDS = 0.4
"""How soon a collection that others recreated is noticed: it is to be adopted within 1 s."""

GONE_FOR_SECONDS = 3.0
"""How long a deleted collection stays gone before we make it ourselves: whoever deletes it to make it
anew finds the name free."""

OLDEST_SERVER = (1, 17)
"""insert_only writes came with it."""

WORDS_CAN_BE_ADDED = (1, 18)
"""A sparse vector can be added to a collection that is there since."""


class Collection:
    """Knows the name to read and to write, and why that may not be done now."""

    def __init__(
        self, connection: Connection, name: str, model: Model, *, follow: bool, hybrid: bool
    ) -> None:
        self.problem: StoreUnavailableError | None = StoreUnavailableError(
            f"{connection.where}: not opened yet"
        )
        self.points = 0
        """How many there were when it was last looked at."""
        self._name: str | None = None
        self._closed_to_writers: StoreUnavailableError | None = None
        self._base = name
        self._follow = follow
        self._hybrid = hybrid
        self._words_can_be_added = True
        self.words = hybrid
        """Whether the words of anchors are stored, and recalled by."""
        self._words_stored: asyncio.Task[None] | None = None
        self._connection = connection
        self._collections = Collections(connection)
        self._model = model
        self._watch: asyncio.Task[None] | None = None
        self._gone_since: float | None = None
        self._looking = asyncio.Lock()

    async def open(self) -> None:
        """Find or make the collection and watch it from now on.

        Raises StoreUnavailableError, StoreMismatchError."""
        await self._check_server()
        await self._settle(create=True)
        self._watch = asyncio.create_task(self._look(), name="watch the collection")
        if self.words:
            self._words_stored = asyncio.create_task(self._store_words(), name="store missing words")

    async def close(self) -> None:
        """Stop watching."""
        for task in (self._watch, self._words_stored):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    def to_read(self) -> str:
        """The collection's name. Raises StoreUnavailableError while it may not be used."""
        if self.problem is not None or self._name is None:
            raise self.problem or StoreUnavailableError(f"{self._connection.where}: not opened yet")
        return self._name

    def to_write(self) -> str:
        """As `to_read`; raises, too, where another collection has taken this one's place."""
        if self._closed_to_writers is not None:
            raise self._closed_to_writers
        return self.to_read()

    async def settle(self) -> None:
        """Look now: after an answer that the collection as last seen does not explain."""
        async with self._looking:
            await self._settle_or_say_why()

    async def settle_if_unusable(self) -> None:
        """Look whether what was wrong still is, before anybody is turned away for it."""
        if self.problem is not None:
            await self.settle()

    async def _settle_or_say_why(self) -> None:
        gone = self._gone_since is not None and time.monotonic() - self._gone_since >= GONE_FOR_SECONDS
        try:
            await self._settle(create=gone)
        except StoreUnavailableError as problem:
            if isinstance(problem, Missing):
                self._gone_since = self._gone_since or time.monotonic()
            if str(problem) != str(self.problem):
                log.warning("store not usable", detail=str(problem))
            self.problem = problem
            return
        self._gone_since = None

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_SECONDS)
            await self.settle()

    async def _store_words(self) -> None:
        """The words of anchors that were stored while hybrid recall was off. Until that is done they are
        recalled by meaning, or as neighbours."""
        stored = 0
        after = None
        while True:
            try:
                name = self.to_write()
                rows, after = await self._collections.wordless(name, after)
                if rows:
                    await self._collections.store_words(name, rows)
            except StoreUnavailableError:
                await asyncio.sleep(LOOK_EVERY_SECONDS)
                continue
            stored += len(rows)
            if after is None:
                break
        if stored:
            log.info("words stored", collection=name, anchors=stored)

    async def _check_server(self) -> None:
        version = (await self._connection.call(lambda client: client.info())).version
        with contextlib.suppress(ValueError):  # a version that is no number is a build of one's own
            parsed = tuple(int(part) for part in version.split(".")[:2])
            self._words_can_be_added = parsed >= WORDS_CAN_BE_ADDED
            if parsed < OLDEST_SERVER:
                oldest = ".".join(map(str, OLDEST_SERVER))
                raise StoreUnavailableError(
                    f"{self._connection.where} is version {version}: anchors are immutable only from "
                    f"{oldest} on (insert-only writes), upgrade it"
                )

    async def _settle(self, create: bool) -> None:
        facts, redirected = await self._current(create)
        try:
            known = fits(facts, self._model.name, self._model.size)
        except StoreMismatchError:
            if not redirected or self._name in (None, facts.name):
                raise
            # re-embedded while we run: what was stored so far is recalled until we are replaced
            old = await self._facts(str(self._name))
            self._closed_to_writers = moved(old.name, facts)
            return self._ready(old)
        if not known:
            await self._collections.describe(facts.name, {MODEL_KEY: self._model.name})
            log.info("collection adopted", collection=facts.name, model=self._model.name)
        await self._collections.index(facts)
        await self._settle_words(facts)
        self._closed_to_writers = None
        return self._ready(facts)

    async def _settle_words(self, facts: Facts) -> None:
        there = sparse.WORDS in facts.sparse
        if self._hybrid and not there and self._words_can_be_added:
            await self._collections.add_words(facts.name)
            there = True
        elif self._hybrid and not there and self.words:
            log.warning(
                "recall by meaning alone: no sparse vector there, and Qdrant before 1.18 adds none",
                collection=facts.name,
                sparse_vector=sparse.WORDS,
            )
        self.words = self._hybrid and there

    async def _current(self, create: bool) -> tuple[Facts, bool]:
        """The collection under our name or the one that took its place, and whether it says so itself."""
        if create and await self._collections.facts(self._base, self._model.name) is None:
            await self._collections.create(self._base, self._model, hybrid=self._hybrid)
        facts = await self._facts(self._base)
        if not self._follow or facts.current is None:
            return facts, False
        try:
            return await self._facts(facts.current), True
        except Missing as error:
            raise gone(facts) from error

    async def _facts(self, name: str) -> Facts:
        facts = await self._collections.facts(name, self._model.name)
        if facts is None:
            raise Missing(f"{self._connection.where} has no collection {name!r}")
        return facts

    def _ready(self, facts: Facts) -> None:
        if self.problem is not None or self._name != facts.name:
            log.info("store ready", collection=facts.name, model=self._model.name)
        self._name, self.points, self.problem = facts.name, facts.points, None
