"""The embedded store: a folder that survives a crash, belongs to one process, and takes over an old one."""

from __future__ import annotations

import asyncio
import os
import pickle
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from qdrant_client import QdrantClient, models

import vhm
from anchors.places import FixedModel, Place, anchor, query, strongest, unit
from vhm.anchors import Scope, StoreMismatchError, StoreUnavailableError, WriteOutcome
from vhm.anchors.local import database
from vhm.contract.messages import Anchor

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
            ((first, _),) = await strongest(store, [query(np.eye(8)[0], limit=2)])
            assert (first.text, first.salience, first.stored_at) == ("kept", 2.0, kept[0].stored_at)
            assert await strongest(store, [query(np.eye(8)[0], session_id="s1", limit=1)]) != [[first]]
            assert await store.add(kept, unit(np.eye(8)[:2])) == [WriteOutcome.STORED, WriteOutcome.STORED]

    asyncio.run(lived())


def test_what_was_acknowledged_survives_kill_9_and_one_process_has_the_folder(tmp_path: Path) -> None:
    process = writer(tmp_path)
    place = Place(f"local:{tmp_path}")
    try:
        batches = acknowledged(process, until=20)
        with pytest.raises(StoreUnavailableError) as refused:
            asyncio.run(place.open())
    finally:
        process.kill()
    assert str(refused.value) == (
        f"the embedded store in {tmp_path} is in use by another process: stop that one first"
    )
    batches += acknowledged(process)
    process.wait()

    async def counted() -> int:
        async with place.opened() as store:
            return await store.count(Scope(""))

    total = asyncio.run(counted())
    assert total % 20 == 0, "half a batch was stored"
    assert total >= 20 * batches


def test_two_stores_of_one_process_share_a_folder(tmp_path: Path) -> None:
    async def lived() -> None:
        place = Place(f"local:{tmp_path}")
        async with place.opened() as indexer, place.opened() as resonance:
            await indexer.add([anchor("shared")], ONE)
            ((beat,),) = await strongest(resonance, [query(np.ones(8))])
            assert beat.text == "shared"
        async with place.opened() as again:  # nobody has it any more
            assert await again.count(Scope("")) == 1

    asyncio.run(lived())


def old_folder(path: Path, anchors: Sequence[Anchor], metadata: dict[str, str] | None) -> None:
    """What earlier versions kept: the format of qdrant-client's local mode."""
    cosine = models.VectorParams(size=8, distance=models.Distance.COSINE)
    client = QdrantClient(path=str(path))
    client.create_collection("anchors", vectors_config=cosine, metadata=metadata)
    points = [
        models.PointStruct(
            id=str(one.anchor_id),
            vector=[3.0, *[2.0] * 7],  # not of unit length
            payload={
                "text": one.text,
                "stored_at": one.stored_at.isoformat(),
                "salience": one.salience,
                "meta": one.meta,
                "vhm_model": "deterministic",
            },
        )
        for one in anchors
    ]
    client.upsert("anchors", [*points, models.PointStruct(id=7, vector=[1.0] * 8, payload={})])
    client.close()


def test_a_folder_of_an_earlier_version_is_taken_over_once(tmp_path: Path) -> None:
    before, after = [anchor("before", salience=1.5, session="s1"), anchor("too")], anchor("after")
    old_folder(tmp_path, before, {"vhm_model": "deterministic"})
    kept = sorted(
        (file, file.read_bytes()) for file in tmp_path.rglob("*") if file.name != ".lock" and file.is_file()
    )

    async def lived() -> None:
        place = Place(f"local:{tmp_path}")
        for _ in range(2):
            async with place.opened() as store:
                assert await store.add([*before, after], np.tile(ONE, (3, 1))) == [WriteOutcome.STORED] * 3
                assert await store.count(Scope("")) == 3
                (beats,) = await strongest(store, [query(np.ones(8), limit=9, diversity_threshold=1.0)])
                assert sorted((beat.text, beat.salience) for beat in beats) == [
                    ("after", 1.0),
                    ("before", 1.5),
                    ("too", 1.0),
                ]
                assert all(beat.similarity <= 1 + 1e-6 for beat in beats)

    asyncio.run(lived())
    assert all(file.read_bytes() == content for file, content in kept), "what was there is left as it was"


def test_an_interrupted_takeover_starts_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old_folder(tmp_path, [anchor("before")], {"vhm_model": "deterministic"})
    place = Place(f"local:{tmp_path}")
    with monkeypatch.context() as patched:
        patched.setattr(database, "_insert", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(StoreUnavailableError, match="disk full"):
            asyncio.run(place.open())

    async def counted() -> int:
        async with place.opened() as store:
            return await store.count(Scope(""))

    assert asyncio.run(counted()) == 1


def test_whose_vectors_an_old_folder_holds_is_asked_as_ever(tmp_path: Path) -> None:
    old_folder(tmp_path, [], {"vhm_model": "deterministic"})
    with pytest.raises(StoreMismatchError, match="holds vectors of 'deterministic'"):
        asyncio.run(Place(f"local:{tmp_path}").open(FixedModel(name="minilm")))


@pytest.mark.parametrize("meta", ["", "{", "[]", '{"collections": 3}'])
def test_a_broken_folder_is_one_line(tmp_path: Path, meta: str) -> None:
    (tmp_path / "meta.json").write_text(meta)
    with pytest.raises(StoreUnavailableError) as refused:
        asyncio.run(Place(f"local:{tmp_path}").open())
    assert str(refused.value).startswith(f"the embedded store in {tmp_path}: ")
    assert "\n" not in str(refused.value)


def test_a_broken_database_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "anchors.sqlite").write_bytes(b"not a database at all" * 500)
    with pytest.raises(StoreUnavailableError, match=r"the embedded store in .*database"):
        asyncio.run(Place(f"local:{tmp_path}").open())


def test_an_old_row_that_would_run_something_is_refused(tmp_path: Path) -> None:
    old_folder(tmp_path, [anchor("x")], None)
    storage = sqlite3.connect(tmp_path / "collection" / "anchors" / "storage.sqlite")
    with storage:
        storage.execute("UPDATE points SET point = ?", (pickle.dumps(print),))
    storage.close()
    with pytest.raises(StoreUnavailableError, match=r"holds a builtins.print"):
        asyncio.run(Place(f"local:{tmp_path}").open())


def test_a_path_that_cannot_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailableError, match="the embedded store in "):
        asyncio.run(Place(f"local:{tmp_path}/file").open())
