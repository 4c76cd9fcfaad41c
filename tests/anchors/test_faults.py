"""What people are told when the server fails, and that we come back when it does."""

from __future__ import annotations

import asyncio
import socket
import time

import numpy as np
import pytest

from anchors.places import FixedModel, Place, anchor, query, strongest, unit
from anchors.standin import StandIn, hang
from vhm.anchors import StoreUnavailableError, WriteOutcome, open_store
from vhm.anchors.qdrant import client as qdrant_client

ONE = unit(np.ones(8))


async def refusal(place: Place, api_key: str | None = None) -> str:
    with pytest.raises(StoreUnavailableError) as refused:
        await open_store(place.settings(api_key), FixedModel())
    line = str(refused.value)
    assert "\n" not in line
    return line


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        line = asyncio.run(refusal(Place(f"http://user:hidden@127.0.0.1:{port}")))
    assert line.startswith(f"Qdrant at http://127.0.0.1:{port}: cannot be reached (")
    assert "hidden" not in line


def test_no_such_host() -> None:
    line = asyncio.run(refusal(Place("http://qdrant.invalid:6333")))
    assert line.startswith("Qdrant at http://qdrant.invalid:6333: cannot be reached (")


NO_ANSWERS = [
    (500, b'{"status":{"error":"disk full"}}', "answers 500: disk full"),
    (503, b"", "answers 503: nothing more"),
    (401, b"Must provide an API key", "answers 401: Must provide an API key; check QDRANT_API_KEY"),
    (403, b'{"status":{"error":"forbidden"}}', "answers 403: forbidden; check QDRANT_API_KEY"),
    (413, b"too large", "answers 413: too large"),
    (429, b'{"status":{"error":"slow down"}}', "answers 429: slow down"),
    (404, b"<html>\nnot here\n</html>", "answers 404: <html> not here </html>"),
    (200, b"<html>a proxy's greeting</html>", "the answer is not Qdrant's ("),
    (200, b'{"some":"json"}', "the answer is not Qdrant's ("),
    (200, b"", "the answer is not Qdrant's ("),
    (200, b"\xff\xfe\x00", "the answer is not Qdrant's ("),
]


@pytest.mark.parametrize("asked", ["to open it", "in a recall"])
@pytest.mark.parametrize(("status", "body", "told"), NO_ANSWERS)
def test_every_answer_that_is_none_is_one_line(
    standin: StandIn, status: int, body: bytes, told: str, asked: str
) -> None:
    async def recalled() -> str:
        async with Place(standin.url).opened() as store:
            standin.fault = lambda method, path: (status, body) if path.endswith("/batch") else None
            with pytest.raises(StoreUnavailableError) as refused:
                await strongest(store, [query(np.ones(8))])
            return str(refused.value)

    if asked == "in a recall":
        line = asyncio.run(recalled())
    else:
        standin.fault = lambda method, path: (status, body)
        line = asyncio.run(refusal(Place(standin.url)))
    assert line.startswith(f"Qdrant at {standin.url}")
    assert told in line
    assert "\n" not in line


def test_every_request_carries_the_key(standin: StandIn) -> None:
    async def lived() -> None:
        settings = Place(standin.url).settings("hunter2")
        store = await open_store(settings, FixedModel())
        await store.add([anchor()], ONE)
        await strongest(store, [query(np.ones(8))])
        await store.close()

    asyncio.run(lived())
    assert standin.keys == {"hunter2"}


def stored_and_recalled(place: Place) -> int:
    """How many beats there are of what was just stored: by both clients' connections."""

    async def found() -> list[str]:
        async with place.opened() as store:
            await store.add([anchor()], ONE)
            return await strongest(store, [query(np.ones(8))])

    return len(asyncio.run(found()))


def test_the_proxy_that_the_environment_names(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", standin.url)
    monkeypatch.setenv("no_proxy", "")
    assert stored_and_recalled(Place("http://qdrant.invalid:6333")) == 1


def test_a_host_that_no_proxy_is_for(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:3128")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert stored_and_recalled(Place(standin.url)) == 1


def test_the_key_is_sent_and_never_shown(standin: StandIn) -> None:
    standin.fault = lambda method, path: (403, b'{"status":{"error":"forbidden"}}')
    line = asyncio.run(refusal(Place(standin.url), api_key="hunter2"))
    assert standin.keys == {"hunter2"}
    assert "check QDRANT_API_KEY" in line
    assert "hunter2" not in line


def test_an_older_server_is_not_used() -> None:
    standin = StandIn(version="1.16.3")
    line = asyncio.run(refusal(Place(standin.url)))
    standin.close()
    assert "version 1.16.3" in line
    assert "1.17" in line


def test_a_server_that_hangs(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qdrant_client, "TIMEOUT_SECONDS", 1)
    standin.fault = hang(1.5)
    assert asyncio.run(refusal(Place(standin.url))).endswith("no answer within 1 s")


def test_a_server_that_hangs_or_hangs_up_in_a_recall(
    standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qdrant_client, "TIMEOUT_SECONDS", 1)

    def leave(method: str, path: str) -> None:
        standin.hang_up()

    async def lived() -> None:
        async with Place(standin.url).opened() as store:
            await store.add([anchor()], ONE)
            standin.fault = hang(1.5)
            with pytest.raises(StoreUnavailableError, match=r"no answer within 1 s$"):
                await store.recall([query(np.ones(8))])
            standin.fault = leave
            with pytest.raises(StoreUnavailableError, match="cannot be reached"):
                await store.recall([query(np.ones(8))])
            standin.fault = None
            assert len(await strongest(store, [query(np.ones(8))])) == 1

    asyncio.run(lived())


def test_a_failure_in_the_middle_is_unready_and_over_when_the_server_is_back(standin: StandIn) -> None:
    async def lived() -> None:
        async with Place(standin.url).opened() as store:
            await store.add([anchor("before")], ONE)
            standin.fault = lambda method, path: (500, b'{"status":{"error":"disk full"}}')
            with pytest.raises(StoreUnavailableError, match="500: disk full"):
                await strongest(store, [query(np.ones(8))])
            with pytest.raises(StoreUnavailableError, match="500: disk full"):
                await store.add([anchor("meanwhile")], ONE)
            await asyncio.sleep(0.6)
            (line,) = store.not_ready()
            assert "disk full" in line
            standin.fault = None
            started = time.monotonic()
            while store.not_ready():
                assert time.monotonic() - started < 2
                await asyncio.sleep(0.05)
            assert await store.add([anchor("meanwhile")], ONE) == [WriteOutcome.STORED]
            assert len((await strongest(store, [query(np.ones(8), diversity_threshold=1.0)]))[0]) == 2

    asyncio.run(lived())


def test_garbage_in_points_is_no_anchor(standin: StandIn) -> None:
    from qdrant_client import models

    async def lived() -> None:
        async with Place(standin.url).opened() as store:
            payloads = [
                None,
                {},
                {"text": "no date"},
                {"text": "x", "stored_at": "soon"},
                {"text": 7, "stored_at": "2024-01-01T00:00:00Z"},
                {"text": "x", "stored_at": "2024-01-01T00:00:00Z", "meta": [1]},
                {"text": "good", "stored_at": "2024-01-01T00:00:00"},
            ]
            points = [
                models.PointStruct(id=n, vector=ONE[0].tolist(), payload=payload)
                for n, payload in enumerate(payloads)
            ]
            good = anchor().anchor_id
            points[-1].id = str(good)
            standin.client.upsert("anchors", points)
            (beats,) = await strongest(store, [query(np.ones(8), limit=9)])
            assert [(beat.text, beat.anchor_id, beat.salience) for beat in beats] == [("good", good, 1.0)]

    asyncio.run(lived())
