"""Tombstones and marks on a server, and carrying them out.

They are points without vectors in a collection of their own, `<base>@forgotten`, which is made when the first
of them is written. A tombstone of one anchor keeps where that stood in its session, so that a forgetting that
was interrupted can still mend the vectors around it.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
from qdrant_client import AsyncQdrantClient, models

from vhm.anchors.compatibility import CollectionInfo
from vhm.anchors.errors import CollectionExistsError, CollectionMissingError
from vhm.anchors.lifecycle import Entries, Entry, Mark, Tombstone, payload_of
from vhm.anchors.payload import SUPERSEDED_AT_KEY, WRITTEN_KEY, Content, Row
from vhm.anchors.qdrant import queries, sparse
from vhm.anchors.qdrant.client import Client
from vhm.anchors.qdrant.collection import Collections, rows_of, scroll
from vhm.anchors.qdrant.session_vectors import PART, SessionVectors
from vhm.anchors.scope import Scope, by_scope

PAGE = 1_000
"""Entries, or ids of anchors, in one request."""

PLACE_KEY = "place"
"""The payload key of a tombstone that holds where its anchor stood."""


class Place(msgspec.Struct, frozen=True):
    """Where an anchor stood in its session."""

    session: str
    stored_at: datetime


class Lifecycle:
    """The tombstones and marks of a collection and its copies. Everything raises StoreUnavailableError, after
    which the same call may be made again."""

    def __init__(self, client: Client, base: str, vectors: SessionVectors) -> None:
        self._client = client
        self._collections = Collections(client)
        self._base = base
        self._name = f"{base}@forgotten"
        self._vectors = vectors

    async def entries(self, anchors: Sequence[Row]) -> Entries:
        """What concerns these anchors, and what supersedes those that supersede others."""
        found = Entries()
        owners = sorted({anchor.content.owner for anchor in anchors})
        superseding = any(anchor.content.supersedes for anchor in anchors)
        seen: set[uuid.UUID] = set()
        waiting = {anchor.anchor_id for anchor in anchors}
        while waiting:
            which = _concerning(owners, waiting, bounds=not seen)
            seen |= waiting
            waiting = set()
            async for entry, _ in self._scroll(which):
                found.add(entry)
                if superseding and isinstance(entry, Mark):
                    waiting.add(entry.by)
            waiting -= seen
        return found

    async def supersede(self, marks: Sequence[Mark]) -> None:
        """Keep marks, and note them on the anchors that are there."""
        await self._record(dict.fromkeys(marks))
        for mark in marks:
            await self.note(mark)

    async def note(self, mark: Mark) -> None:
        """Say on an anchor, in every copy and if it is there, by what it is superseded: by the earliest."""
        which = queries.named(Scope(mark.owner), [mark.anchor_id])
        earlier = models.FieldCondition(key=SUPERSEDED_AT_KEY, range=models.DatetimeRange(lte=mark.since))
        which.must_not = [earlier]
        for copy in await self._collections.copies(self._base):
            await self._set(copy.name, payload_of(mark), which)

    async def rewritten(self, collection: str, anchors: Iterable[Row]) -> None:
        """Note later records that wrote the same anchors."""
        for anchor in anchors:
            written = anchor.content.written
            which = queries.named(anchor.content.scope, [anchor.anchor_id], written)
            await self._set(collection, {WRITTEN_KEY: written}, which)

    async def forget(self, tombstones: Sequence[Tombstone]) -> int:
        """Keep tombstones and carry them out; how many anchors are gone."""
        places = await self._places(tombstones)
        await self._record(places)
        return await self._bury(places)

    async def carry_out_all(self) -> None:
        """Carry every tombstone out again: a copy of the collection may have been restored."""
        page: dict[Tombstone, Place | None] = {}
        async for entry, place in self._scroll(models.Filter()):
            if isinstance(entry, Tombstone):
                page[entry] = place
            if len(page) == PAGE:
                await self._bury(page)
                page = {}
        if page:
            await self._bury(page)

    async def take_out(self, collection: str, anchor: Row) -> None:
        """Remove an anchor that was written after it had been forgotten, unless a later record wrote it too,
        and its words in the vectors around it."""
        content = anchor.content
        await self._delete(collection, queries.named(content.scope, [anchor.anchor_id], content.written))
        for copy in await self._collections.copies(self._base):
            if copy.name == collection:
                await self._mend(copy, [anchor])

    async def remove_expired(self) -> int:
        """Remove what has expired from the collection and its copies; how many anchors."""
        most = 0
        for copy in await self._collections.copies(self._base):
            count, which = 0, models.Filter(must=[queries.expired(datetime.now(UTC))])
            async for rows in rows_of(self._client, copy.name, which, PART):
                for scope, anchor_ids in by_scope((row.content.owner, row.anchor_id) for row in rows).items():
                    await self._delete(copy.name, queries.named(scope, anchor_ids))
                await self._mend(copy, rows)
                count += len(rows)
            most = max(most, count)
        return most

    async def _bury(self, tombstones: Mapping[Tombstone, Place | None]) -> int:
        """Remove what they concern from every copy, and mend the vectors around it."""
        bounds = [one for one in tombstones if one.anchor_id is None]
        which = [queries.named(scope, anchor_ids) for scope, anchor_ids in _named(tombstones).items()]
        which += [queries.bounded(bound) for bound in bounds]
        gone = [
            _remains(one.owner, one.anchor_id, place)
            for one, place in tombstones.items()
            if one.anchor_id is not None and place is not None
        ]
        most = 0
        for copy in await self._collections.copies(self._base):
            count = sum([await self._remove(copy.name, part) for part in which])
            await self._mend(copy, gone)
            for bound in bounds:
                async for rows in rows_of(self._client, copy.name, queries.neighbours(bound), PART):
                    await self._mend(copy, rows)
            most = max(most, count)
        return most

    async def _remove(self, collection: str, which: models.Filter) -> int:
        counted = await self._client.call(
            lambda client: client.count(collection, count_filter=which, exact=True)
        )
        await self._delete(collection, which)
        return counted.count

    async def _delete(self, collection: str, which: models.Filter) -> None:
        selector = models.FilterSelector(filter=which)
        await self._client.call(
            lambda client: client.delete(collection, selector, ordering=models.WriteOrdering.STRONG)
        )

    async def _mend(self, copy: CollectionInfo, gone: Iterable[Row]) -> None:
        """All at once: a part would go on from turn to turn into what is around the others."""
        turns = [row for row in gone if row.content.session is not None]
        if turns and sparse.WORDS in copy.sparse:
            await self._vectors.derive(copy.name, turns)

    async def _places(self, tombstones: Sequence[Tombstone]) -> dict[Tombstone, Place | None]:
        """Where the anchors stand that are to be forgotten, or stood when that was first asked for."""
        by_key = {(one.owner, one.anchor_id): one for one in tombstones if one.anchor_id is not None}
        places: dict[Tombstone, Place | None] = dict.fromkeys(tombstones)
        for scope, anchor_ids in _named(tombstones).items():
            which = _concerning([scope.owner], set(anchor_ids), bounds=False)
            async for entry, place in self._scroll(which):
                if isinstance(entry, Tombstone) and entry.anchor_id is not None and place is not None:
                    places[by_key[entry.owner, entry.anchor_id]] = place
            named = queries.named(scope, anchor_ids)
            for copy in await self._collections.copies(self._base):
                async for rows in rows_of(self._client, copy.name, named, PAGE):
                    for row in rows:
                        if row.content.session is not None:
                            place = Place(row.content.session, row.content.stored_at)
                            places[by_key[scope.owner, row.anchor_id]] = place
        return places

    async def _record(self, entries: Mapping[Any, Place | None]) -> None:
        """Keep entries, and the places of those that have one."""
        points = []
        for entry, place in entries.items():
            payload = msgspec.to_builtins(entry)
            if place is not None:
                payload[PLACE_KEY] = msgspec.to_builtins(place)
            points.append(models.PointStruct(id=_point_id(entry), vector={}, payload=payload))
        if not points:
            return
        try:
            await self._upsert(points)
        except CollectionMissingError:
            with contextlib.suppress(CollectionExistsError):
                await self._client.call(
                    lambda client: client.create_collection(self._name, vectors_config={})
                )
            for key in ("owner", "anchor_id"):
                create = partial(
                    AsyncQdrantClient.create_payload_index,
                    collection_name=self._name,
                    field_name=key,
                    field_schema=models.PayloadSchemaType.KEYWORD,
                )
                await self._client.call(create)
            await self._upsert(points)

    async def _upsert(self, points: list[models.PointStruct]) -> None:
        await self._client.call(
            lambda client: client.upsert(self._name, points, ordering=models.WriteOrdering.STRONG)
        )

    async def _set(self, collection: str, payload: dict[str, Any], which: models.Filter) -> None:
        await self._client.call(
            lambda client: client.set_payload(
                collection, payload, points=which, ordering=models.WriteOrdering.STRONG
            )
        )

    async def _scroll(self, which: models.Filter) -> AsyncIterator[tuple[Entry, Place | None]]:
        """Entries, with the places that tombstones keep; none while there is no collection of them."""
        majority = models.ReadConsistencyType.MAJORITY
        with contextlib.suppress(CollectionMissingError):
            async for records in scroll(self._client, self._name, which, PAGE, consistency=majority):
                for payload in (record.payload or {} for record in records):
                    place = payload.get(PLACE_KEY)
                    yield (
                        msgspec.convert(payload, Entry),
                        None if place is None else msgspec.convert(place, Place),
                    )


def _concerning(owners: Sequence[str], anchor_ids: Iterable[uuid.UUID], *, bounds: bool) -> models.Filter:
    """The entries of these anchors, and the tombstones of no single anchor."""
    named = models.FieldCondition(
        key="anchor_id", match=models.MatchAny(any=[str(one) for one in anchor_ids])
    )
    nameless = models.IsEmptyCondition(is_empty=models.PayloadField(key="anchor_id"))
    return models.Filter(
        must=[models.FieldCondition(key="owner", match=models.MatchAny(any=list(owners)))],
        should=[named, nameless] if bounds else [named],
    )


def _named(tombstones: Iterable[Tombstone]) -> dict[Scope, list[uuid.UUID]]:
    """The anchors that tombstones name."""
    return by_scope((one.owner, one.anchor_id) for one in tombstones if one.anchor_id is not None)


def _point_id(entry: Entry) -> str:
    """The same for the same entry, whenever it was asked for where that makes no difference."""
    if isinstance(entry, Tombstone) and entry.anchor_id is not None:
        entry = msgspec.structs.replace(entry, written=0)
    return str(uuid.uuid5(uuid.NAMESPACE_OID, msgspec.json.encode(entry).decode()))


def _remains(owner: str, anchor_id: uuid.UUID, place: Place) -> Row:
    """As much of a forgotten anchor as tells which vectors held its words."""
    return Row(anchor_id, Content("", place.stored_at, meta={"session": place.session}, owner=owner))
