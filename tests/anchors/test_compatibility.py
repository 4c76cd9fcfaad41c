"""A collection knows which model filled it; others may make it anew while we run."""

from __future__ import annotations

import asyncio
import time
import uuid
import warnings

import numpy as np
import pytest
from qdrant_client import QdrantClient, models

from anchors.places import FixedModel, Place, anchor, fresh_name, looked_at, query, strongest, unit
from vhm.anchors import StoreMismatchError, WriteOutcome
from vhm.anchors.compatibility import CollectionInfo, check_model

OURS = {"vhm_owner", "vhm_shape", "vhm_expires_at", "vhm_superseded_at", "vhm_written"}
"""Payload keys of ours that are filtered by."""

ONE = unit(np.ones(8))
COSINE = models.VectorParams(size=8, distance=models.Distance.COSINE)


@pytest.fixture
def server(server_url: str) -> Place:
    return Place(server_url, fresh_name())


def recreate(place: Place, params: models.VectorParams = COSINE) -> None:
    """As the published system's tools reset the store."""
    client = QdrantClient(url=place.url, check_compatibility=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client.delete_collection(place.collection)
        client.create_collection(place.collection, vectors_config=params)
    client.close()


def test_the_collection_is_as_other_programs_expect_it(server: Place) -> None:
    async def stored() -> None:
        async with server.opened() as store:
            await store.add([one := anchor("we met", session="s1")], ONE)
        client = QdrantClient(url=server.url, check_compatibility=False)
        (point,) = client.retrieve(server.collection, [str(one.anchor_id)], with_vectors=True)
        client.close()
        assert point.vector == pytest.approx(ONE[0].tolist(), abs=1e-6)
        payload = dict(point.payload or {})
        assert payload.pop("vhm_model") == "deterministic"
        assert payload == {
            "text": "we met",
            "stored_at": "2026-11-19T12:00:00+00:00",
            "salience": 1.0,
            "meta": {"session": "s1"},
        }

    asyncio.run(stored())
    info = looked_at(server)
    assert info.config.params.vectors == COSINE
    assert not info.config.params.sparse_vectors
    assert info.config.metadata == {"vhm_model": "deterministic"}
    assert set(info.payload_schema) == {"stored_at", "salience", "meta.session", *OURS}


def test_recreated_while_we_run_it_is_adopted_within_a_second_and_used(server: Place) -> None:
    async def lived() -> None:
        async with server.opened() as indexer, server.opened() as resonance:
            await indexer.add([anchor("before")], ONE)
            await asyncio.to_thread(recreate, server)
            await asyncio.sleep(1.0)
            info = await asyncio.to_thread(looked_at, server)
            assert info.config.metadata == {"vhm_model": "deterministic"}
            assert await indexer.add([anchor("after")], ONE) == [WriteOutcome.STORED]
            ((beat,),) = await strongest(resonance, [query(np.ones(8))])
            assert beat.text == "after"
            assert indexer.not_ready() == resonance.not_ready() == []
            for _ in range(100):  # a server takes its time for each index
                info = await asyncio.to_thread(looked_at, server)
                if len(info.payload_schema) == 3 + len(OURS):
                    break
                await asyncio.sleep(0.1)
            assert len(info.payload_schema) == 3 + len(OURS)

    asyncio.run(lived())


def test_what_is_written_before_the_recreation_is_noticed_does_not_lock_us_out(server: Place) -> None:
    async def lived() -> None:
        async with server.opened() as store:
            await asyncio.to_thread(recreate, server)
            assert await store.add([anchor("at once")], ONE) == [WriteOutcome.STORED]
            await asyncio.sleep(1.0)
            assert store.not_ready() == []
        assert looked_at(server).config.metadata == {"vhm_model": "deterministic"}

    asyncio.run(lived())


def test_a_deleted_one_leaves_its_name_free_for_a_while_and_is_made_again(server: Place) -> None:
    async def lived() -> None:
        async with server.opened() as store:
            client = QdrantClient(url=server.url, check_compatibility=False)
            await asyncio.to_thread(client.delete_collection, server.collection)
            await asyncio.sleep(1.0)
            assert not client.collection_exists(server.collection)
            (line,) = store.not_ready()
            assert server.collection in line
            started = time.monotonic()
            while store.not_ready():
                assert time.monotonic() - started < 10
                await asyncio.sleep(0.1)
            assert await store.add([anchor("again")], ONE) == [WriteOutcome.STORED]
            client.close()

    asyncio.run(lived())


def test_recreated_with_another_size_we_are_unready_and_write_nothing(server: Place) -> None:
    async def lived() -> None:
        async with server.opened() as store:
            other = models.VectorParams(size=5, distance=models.Distance.COSINE)
            await asyncio.to_thread(recreate, server, other)
            with pytest.raises(StoreMismatchError, match="cosine vectors of 5"):
                await store.add([anchor("never")], ONE)
            (line,) = store.not_ready()
            assert "vhm reindex" in line
        assert looked_at(server).points_count == 0

    asyncio.run(lived())


def test_another_model_is_refused_and_nothing_is_lost(place: Place) -> None:
    async def lived() -> None:
        async with place.opened() as store:
            await store.add([anchor("stays")], ONE)
            with pytest.raises(StoreMismatchError) as refused:
                await place.open(FixedModel(name="minilm"))
            assert str(refused.value) == (
                f"collection '{place.collection}' holds vectors of 'deterministic', EMBEDDING_MODEL=minilm: "
                "set EMBEDDING_MODEL=deterministic, or re-embed it with `vhm reindex`"
            )
            ((beat,),) = await strongest(store, [query(np.ones(8))])
            assert beat.text == "stays"

    asyncio.run(lived())


def test_points_of_unknown_make_are_refused(server: Place) -> None:
    async def lived() -> None:
        recreate(server)
        client = QdrantClient(url=server.url, check_compatibility=False)
        payload = {"text": "theirs", "stored_at": "2024-01-01T00:00:00Z", "salience": 1.0, "meta": {}}
        point = models.PointStruct(id=str(uuid.uuid4()), vector=ONE[0].tolist(), payload=payload)
        client.upsert(server.collection, [point], wait=True)
        client.close()
        with pytest.raises(StoreMismatchError, match=r"holds 1 points and does not say .* `vhm reindex`"):
            await server.open()

    asyncio.run(lived())


def test_an_empty_one_is_adopted(server: Place) -> None:
    async def lived() -> None:
        recreate(server)
        async with server.opened() as store:
            assert await store.add([anchor("ours")], ONE) == [WriteOutcome.STORED]

    asyncio.run(lived())
    assert looked_at(server).config.metadata == {"vhm_model": "deterministic"}


@pytest.mark.parametrize(
    ("info", "why"),
    [
        (CollectionInfo(name="c", shape="dot vectors of 8", size=None), "dot vectors of 8"),
        (CollectionInfo(name="c", shape="named vectors ('a')", size=None), "named vectors"),
        (
            CollectionInfo(name="c", shape="cosine vectors of 5", size=5, metadata={"vhm_model": "minilm"}),
            "of 'minilm'",
        ),
        (
            CollectionInfo(name="c", shape="cosine vectors of 8", size=8, metadata={"vhm_model": "minilm"}),
            "'minilm'",
        ),
        (CollectionInfo(name="c", shape="cosine vectors of 8", size=8, points=3, foreign=1), "3 points"),
    ],
)
def test_one_line_says_what_it_holds_what_was_asked_and_the_command(info: CollectionInfo, why: str) -> None:
    with pytest.raises(StoreMismatchError) as refused:
        check_model(info, "deterministic", 8)
    line = str(refused.value)
    assert "\n" not in line
    for part in (why, "EMBEDDING_MODEL=deterministic", "`vhm reindex`"):
        assert part in line


def test_empty_or_our_own_points_may_be_adopted_and_our_model_is_fine() -> None:
    shape = {"name": "c", "shape": "cosine vectors of 8", "size": 8}
    assert not check_model(CollectionInfo(**shape), "minilm", 8)
    assert not check_model(CollectionInfo(**shape, points=9, foreign=0), "minilm", 8)
    assert check_model(CollectionInfo(**shape, points=9, metadata={"vhm_model": "minilm"}), "minilm", 8)
