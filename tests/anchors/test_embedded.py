"""The embedded store: a folder that survives a crash, belongs to one process, and Qdrant's client reads."""

from __future__ import annotations

import asyncio
import os
import pickle
import sqlite3
import subprocess
import sys
import uuid
from pathlib import Path

import numpy as np
import pytest
from qdrant_client import QdrantClient, models

import vhm
from anchors.places import FixedModel, Place, anchor, query, unit
from vhm.anchors import Stored, StoreMismatchError, StoreUnavailableError

ONE = unit(np.ones(8))
HERE = Path(__file__).parents[1]

WRITER = """
import asyncio, sys
import numpy as np
from anchors.places import Place, anchor, unit

async def write():
    async with Place("local:" + sys.argv[1]).opened() as store:
        for n in range(100_000):
            batch = [anchor(f"memory {n}.{m}") for m in range(20)]
            await store.add(batch, unit(np.random.default_rng(n).random((20, 8))))
            print("batch", n, flush=True)

asyncio.run(write())
"""


def writer(path: Path) -> subprocess.Popen[str]:
    apps = Path(vhm.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": f"{HERE}{os.pathsep}{apps}"}
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True, env=environment
    )


def acknowledged(process: subprocess.Popen[str], until: int | None = None) -> int:
    """How many batches it says are stored, waiting for so many or for its end."""
    assert process.stdout is not None
    count = 0
    for line in process.stdout:
        count += line.startswith("batch ")
        if count == until:
            break
    return count


def test_memories_survive_a_restart(tmp_path: Path) -> None:
    place = Place(f"local:{tmp_path}/made/when/needed")
    kept = [anchor("kept", days=2, salience=2.0, session="s1"), anchor("other")]

    async def lived() -> None:
        async with place.opened() as store:
            await store.add(kept, unit(np.eye(8)[:2]))
        async with place.opened() as store:
            ((first, _),) = await store.recall([query(np.eye(8)[0], limit=2)])
            assert (first.text, first.salience, first.stored_at) == ("kept", 2.0, kept[0].stored_at)
            assert await store.recall([query(np.eye(8)[0], session_id="s1", limit=1)]) != [[first]]
            assert await store.add(kept, unit(np.eye(8)[:2])) == [Stored.SAME, Stored.SAME]

    asyncio.run(lived())


def test_what_was_acknowledged_survives_kill_9_and_one_process_has_the_folder(tmp_path: Path) -> None:
    process = writer(tmp_path)
    place = Place(f"local:{tmp_path}")
    try:
        batches = acknowledged(process, until=20)
        with pytest.raises(StoreUnavailableError) as refused:
            asyncio.run(place.store().open())
    finally:
        process.kill()
    assert str(refused.value) == (
        f"the embedded store in {tmp_path} is in use by another process: stop that one first"
    )
    batches += acknowledged(process)
    process.wait()

    async def counted() -> int:
        async with place.opened() as store:
            return (await store.summary(anchor().stored_at, None)).total

    total = asyncio.run(counted())
    assert total % 20 == 0, "half a batch was stored"
    assert total >= 20 * batches


def test_two_stores_of_one_process_share_a_folder(tmp_path: Path) -> None:
    async def lived() -> None:
        place = Place(f"local:{tmp_path}")
        async with place.opened() as indexer, place.opened() as resonance:
            await indexer.add([anchor("shared")], ONE)
            ((beat,),) = await resonance.recall([query(np.ones(8))])
            assert beat.text == "shared"
        client = QdrantClient(path=str(tmp_path))  # nobody has it any more
        client.close()

    asyncio.run(lived())


def test_qdrants_own_client_reads_and_writes_the_folder(tmp_path: Path) -> None:
    place = Place(f"local:{tmp_path}")
    ours = anchor("ours", salience=1.5, session="s1")

    async def write() -> None:
        async with place.opened() as store:
            await store.add([ours], ONE)

    async def read() -> list[str]:
        async with place.opened() as store:
            assert await store.add([ours], ONE) == [Stored.SAME]
            (beats,) = await store.recall([query(np.ones(8), limit=5, diversity_threshold=1.0)])
            return sorted(beat.text for beat in beats)

    asyncio.run(write())
    client = QdrantClient(path=str(tmp_path))
    (point,) = client.retrieve("anchors", [str(ours.anchor_id)], with_vectors=True)
    assert point.payload is not None
    assert (point.payload["text"], point.payload["salience"]) == ("ours", 1.5)
    assert point.vector == pytest.approx(ONE[0].tolist())
    assert client.get_collection("anchors").config.metadata == {"vhm_model": "deterministic"}
    payload = {"text": "theirs", "stored_at": "2024-01-01T00:00:00Z", "salience": 1.0, "meta": {}}
    # not of unit length, and beside it a point that is no anchor
    theirs = models.PointStruct(id=str(uuid.uuid4()), vector=[3.0, *[2.0] * 7], payload=payload)
    client.upsert("anchors", [theirs, models.PointStruct(id=7, vector=[1.0] * 8, payload={})])
    client.close()
    assert asyncio.run(read()) == ["ours", "theirs"]


def test_a_collection_that_the_client_made_anew_is_adopted(tmp_path: Path) -> None:
    cosine = models.VectorParams(size=8, distance=models.Distance.COSINE)
    client = QdrantClient(path=str(tmp_path))
    client.create_collection("anchors", vectors_config=cosine)
    client.create_collection("theirs", vectors_config=cosine)
    client.upsert("theirs", [models.PointStruct(id=1, vector=[1.0] * 8, payload={"text": "x"})])
    client.close()

    async def lived() -> None:
        async with Place(f"local:{tmp_path}").opened() as store:
            await store.add([anchor("ours")], ONE)
        with pytest.raises(StoreMismatchError, match="holds 1 points"):
            await Place(f"local:{tmp_path}", "theirs").store().open()
        with pytest.raises(StoreMismatchError, match="holds vectors of 'deterministic'"):
            await Place(f"local:{tmp_path}").store(FixedModel(name="minilm")).open()

    asyncio.run(lived())


@pytest.mark.parametrize("meta", ["", "{", "[]", '{"collections": 3}'])
def test_a_broken_folder_is_one_line(tmp_path: Path, meta: str) -> None:
    (tmp_path / "meta.json").write_text(meta)
    with pytest.raises(StoreUnavailableError) as refused:
        asyncio.run(Place(f"local:{tmp_path}").store().open())
    assert str(refused.value).startswith(f"the embedded store in {tmp_path}: ")
    assert "\n" not in str(refused.value)


def test_a_broken_database_is_one_line(tmp_path: Path) -> None:
    async def made() -> None:
        async with Place(f"local:{tmp_path}").opened() as store:
            await store.add([anchor("x")], ONE)

    asyncio.run(made())
    (tmp_path / "collection" / "anchors" / "storage.sqlite").write_bytes(b"not a database at all" * 500)
    with pytest.raises(StoreUnavailableError, match=r"the embedded store in .*database"):
        asyncio.run(Place(f"local:{tmp_path}").store().open())


def test_a_row_that_would_run_something_is_refused(tmp_path: Path) -> None:
    async def made() -> None:
        async with Place(f"local:{tmp_path}").opened() as store:
            await store.add([anchor("x")], ONE)

    asyncio.run(made())
    database = sqlite3.connect(tmp_path / "collection" / "anchors" / "storage.sqlite")
    with database:
        database.execute("UPDATE points SET point = ?", (pickle.dumps(print),))
    database.close()
    with pytest.raises(StoreUnavailableError, match=r"holds a builtins.print"):
        asyncio.run(Place(f"local:{tmp_path}").store().open())


def test_a_path_that_cannot_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailableError, match="the embedded store in "):
        asyncio.run(Place(f"local:{tmp_path}/file").store().open())
