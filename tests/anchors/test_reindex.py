"""Re-embedding a collection: nothing is lost, recall never stops, an interruption is taken up."""

from __future__ import annotations

import asyncio
import uuid
import zlib
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from qdrant_client import QdrantClient, models

from anchors.places import NOW, FixedModel, Place, anchor, fresh_name, query, strongest, unit
from vhm.anchors import AnchorStore, Scope, StoreMismatchError, StoreUnavailableError, WriteOutcome
from vhm.anchors.payload import Content, Row, from_anchor
from vhm.anchors.reindex import Progress, Reindexed, reindex
from vhm.embedding import EmbeddingFailedError, EmbeddingUnavailableError


class HashModel(FixedModel, kw_only=True):
    """Embeds a text by its hash, each model in its own way; refuses what it is told to."""

    refuses: str = "never said"
    fails_after: int | None = None
    embedded: int = 0

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def embed(self, texts: Sequence[str]) -> np.ndarray:
        for index, text in enumerate(texts):
            if text == self.refuses:
                raise EmbeddingFailedError("not this one", index)
        self.embedded += len(texts)
        if self.fails_after is not None and self.embedded > self.fails_after:
            raise EmbeddingUnavailableError("the provider is down")
        seeds = [zlib.crc32(f"{self.name} {text}".encode()) for text in texts]
        return unit([np.random.default_rng(seed).random(self.size) for seed in seeds])


OLD, NEW = HashModel(name="deterministic"), HashModel(name="minilm", size=12)


async def fill(store: AnchorStore, model: HashModel, texts: Sequence[str]) -> list[WriteOutcome]:
    anchors = [
        msgspec.structs.replace(anchor(text, days=1 + n), anchor_id=anchor_id(text))
        for n, text in enumerate(texts)
    ]
    return await store.add(anchors, await model.embed(texts))


async def recalled(store: AnchorStore, model: HashModel, texts: Sequence[str]) -> set[str]:
    """Which of the texts the store holds as the model embeds them; a few of them it is asked for."""
    some = list(texts[:: max(1, len(texts) // 4)])
    vectors = await model.embed(some)
    found = await strongest(store, [query(vector, limit=1, decay_lambda=0.0) for vector in vectors])
    assert [beat.text for (beat,) in found] == some
    return await held(store, texts)


async def held(store: AnchorStore, texts: Sequence[str]) -> set[str]:
    """Those of the texts whose anchors are there."""
    ids = {str(anchor_id(text)): text for text in texts}
    rows = [Row(anchor_id(text), Content(text, NOW)) for text in texts]
    return {ids[known] for known in await store.known(rows)}


def test_of_two_owners_anchors_of_one_id_each_is_known_for_itself(place: Place) -> None:
    one = msgspec.structs.replace(anchor("sam's"), owner="sam")
    theirs = from_anchor(one, None, None)
    nameless = Row(one.anchor_id, Content("another", NOW))

    async def lived() -> None:
        async with place.opened(OLD) as store:
            await store.add([one], await OLD.embed(["sam's"]))
            assert await store.known([theirs, nameless]) == {theirs.point_id}

    asyncio.run(lived())


def anchor_id(text: str) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_OID, text)


def again(place: Place, model: HashModel, **changes: object) -> asyncio.Future[Reindexed]:
    return reindex(place.settings(), model, settling_seconds=0.0, **changes)  # type: ignore[return-value,arg-type]


def test_re_embedded_into_a_collection_beside_and_back(place: Place) -> None:
    texts = [f"memory {n}" for n in range(150)]

    async def lived() -> None:
        steps: list[Progress] = []
        async with place.opened(OLD) as old:
            await fill(old, OLD, texts)
            done = await again(place, NEW, report=steps.append)
            assert (done.source, done.target) == (place.collection, f"{place.collection}@minilm")
            assert (done.copied, done.refused, done.adopted) == (150, (), False)
            assert [step.done for step in steps if step.step == "copying"] == [64, 128, 150]
            assert {step.total for step in steps} == {150}
        async with place.opened(NEW) as new:
            assert await recalled(new, NEW, texts) == set(texts)
            assert await new.count(Scope("")) == 150
            await fill(new, NEW, ["only in the new one"])
        with pytest.raises(
            StoreMismatchError, match=f"{place.collection}@minilm' holds cosine vectors of 12 of 'minilm'"
        ):
            await place.open(OLD)
        back = await again(place, OLD)
        assert (back.source, back.target, back.copied) == (f"{place.collection}@minilm", place.collection, 1)
        async with place.opened(OLD) as old:
            assert await recalled(old, OLD, [*texts, "only in the new one"]) == {
                *texts,
                "only in the new one",
            }

    async def kept() -> None:
        async with place.keeper():
            await lived()

    asyncio.run(kept())


@pytest.mark.slow
def test_under_writes_nothing_is_lost_and_recall_never_stops(place: Place) -> None:
    """Workers of the old model write and recall until those of the new one have taken over."""
    acknowledged: list[str] = []
    refusals: list[str] = []

    async def lived(old: AnchorStore) -> None:
        await fill(old, OLD, before := [f"before {n}" for n in range(200)])
        acknowledged.extend(before)
        switched = asyncio.Event()
        recalls = 0

        async def write() -> None:
            for n in range(10_000):
                try:
                    await fill(old, OLD, [f"meanwhile {n}"])
                except StoreUnavailableError as error:
                    refusals.append(str(error))
                    return
                acknowledged.append(f"meanwhile {n}")
                await asyncio.sleep(0.002)

        async def recall() -> None:
            nonlocal recalls
            while not switched.is_set():
                assert await recalled(old, OLD, before[:1]) == set(before[:1])
                assert old.not_ready() == []
                recalls += 1
                await asyncio.sleep(0.01)

        writer, reader = asyncio.create_task(write()), asyncio.create_task(recall())
        done = await reindex(place.settings(), NEW, settling_seconds=1.0)
        await asyncio.wait_for(writer, 10)
        async with place.opened(NEW) as new:
            switched.set()
            await reader
            assert recalls > 3
            assert f"was re-embedded into '{place.collection}@minilm'" in refusals[0]
            assert done.copied == len(acknowledged) > 200
            assert await recalled(new, NEW, acknowledged) == set(acknowledged)

    async def kept() -> None:
        async with place.opened(OLD) as old:
            await lived(old)

    asyncio.run(kept())


def test_an_interruption_is_taken_up_where_it_was(place: Place) -> None:
    async def lived() -> None:
        async with place.opened(OLD) as old:
            await fill(old, OLD, [f"memory {n}" for n in range(200)])
            failing = HashModel(name="minilm", size=12, fails_after=130)
            with pytest.raises(EmbeddingUnavailableError):
                await again(place, failing)
            assert await recalled(old, OLD, ["memory 7"]) == {"memory 7"}
            assert await fill(old, OLD, ["still written"]) == [WriteOutcome.STORED]
            done = await again(place, NEW)
            assert done.copied == 201 - 128
            assert (await again(place, NEW)).copied == 0

    asyncio.run(lived())


def test_what_the_model_refuses_is_named_and_the_rest_is_copied(place: Place) -> None:
    async def lived() -> None:
        async with place.opened(OLD) as old:
            await fill(old, OLD, ["a", "b", "unspeakable", "c"])
            done = await again(place, HashModel(name="minilm", refuses="unspeakable"))
            assert done.copied == 3
            (refused,) = done.refused
            assert refused.endswith(": not this one")

    asyncio.run(lived())


@pytest.mark.parametrize(("made_by", "adopted"), [(NEW, True), (HashModel(name="other", size=12), False)])
def test_a_collection_of_unknown_make_is_adopted_if_it_is_this_models(
    server_url: str, made_by: HashModel, adopted: bool
) -> None:
    place = Place(server_url, fresh_name())
    client = QdrantClient(url=place.url, check_compatibility=False)
    cosine = models.VectorParams(size=12, distance=models.Distance.COSINE)
    client.create_collection(place.collection, vectors_config=cosine)
    texts = [f"theirs {n}" for n in range(40)]
    vectors = asyncio.run(made_by.embed(texts)).tolist()
    points = [
        models.PointStruct(
            id=str(uuid.uuid4()), vector=vector, payload={"text": text, "stored_at": "2024-01-01T00:00:00Z"}
        )
        for text, vector in zip(texts, vectors, strict=True)
    ]
    client.upsert(place.collection, points, wait=True)
    client.close()

    async def lived() -> None:
        with pytest.raises(StoreMismatchError, match="vhm reindex"):
            await place.open(NEW)
        done = await again(place, NEW)
        assert (done.adopted, done.copied) == (adopted, 0 if adopted else 40)
        async with place.opened(NEW) as store:
            (beats,) = await strongest(store, [query((await NEW.embed(texts[:1]))[0], limit=1)])
            assert [beat.text for beat in beats] == texts[:1]
            assert await store.count(Scope("")) == 40

    asyncio.run(lived())


def test_there_must_be_something_to_re_embed(place: Place) -> None:
    with pytest.raises(StoreUnavailableError, match="no collection"):
        asyncio.run(again(place, NEW))  # type: ignore[arg-type]


def test_nothing_to_do_for_the_model_that_filled_it(place: Place) -> None:
    async def lived() -> None:
        async with place.opened(OLD) as old:
            await fill(old, OLD, ["a"])
            done = await again(place, OLD)
            assert (done.source, done.target, done.copied) == (place.collection, place.collection, 0)

    asyncio.run(lived())
