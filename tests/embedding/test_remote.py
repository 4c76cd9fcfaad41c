"""Each provider through its real client library, against a server over loopback."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from email.utils import formatdate
from typing import Any

import numpy as np
import pytest

from embedding.server import KEY, Server, vector
from vhm.contract.env_loader import Secret
from vhm.embedding import EmbeddingFailedError, EmbeddingUnavailableError
from vhm.embedding.ollama import OllamaEmbeddings
from vhm.embedding.openai import OpenAIEmbeddings
from vhm.embedding.portkey import PortkeyEmbeddings
from vhm.embedding.protocol import EmbeddingProvider
from vhm.embedding.remote import RemoteEmbedder, RetryPolicy

QUICK = RetryPolicy(call=5, tries=3, overall=20, pause=0.01)
HASTY = RetryPolicy(call=0.3, tries=2, overall=20, pause=0.01)
KNOWN = {
    "ollama": "nomic-embed-text:v1.5",
    "openai": "text-embedding-3-small",
    "portkey": "@azure/cohere-embed-v3",
}
SIZE = 8
"""Numbers in a vector of the model "tiny"."""

Life = Callable[[Server, RemoteEmbedder], Awaitable[None]]


def provider(kind: str, url: str, model: str = "tiny", key: str = KEY) -> EmbeddingProvider:
    if kind == "ollama":
        return OllamaEmbeddings(model, url)
    if kind == "openai":
        return OpenAIEmbeddings(model, Secret(key), f"{url}/v1")
    return PortkeyEmbeddings(model, Secret(key), f"{url}/v1", "pc-config")


class Stage:
    """A provider, its server and the loop they live in, for all tests: a client takes 50 ms to make."""

    def __init__(self, kind: str, runner: asyncio.Runner, server: Server) -> None:
        self.kind, self.server, self._runner = kind, server, runner
        self.provider = provider(kind, server.url)

    def opened(self, life: Life) -> None:
        """Run with an embedder that has just been opened."""

        async def whole() -> None:
            self.server.reset()
            embedder = RemoteEmbedder(self.provider, QUICK)
            await embedder.open()
            self.server.requests.clear()
            await life(self.server, embedder)

        self._runner.run(whole())

    def unopened(self, life: Life, url: str = "", model: str = "tiny", key: str = KEY) -> None:
        """Run with another embedder of the same kind, not open."""

        async def whole() -> None:
            self.server.reset()
            embedder = RemoteEmbedder(provider(self.kind, url or self.server.url, model, key), HASTY)
            await life(self.server, embedder)
            await embedder.close()

        self._runner.run(whole())


@pytest.fixture(scope="module", params=["ollama", "openai", "portkey"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    server = Server()
    with asyncio.Runner() as runner:
        runner.run(server.start())
        stage = Stage(request.param, runner, server)
        yield stage
        runner.run(stage.provider.close())


def unit(text: str) -> np.ndarray:
    found = np.array(vector(text, SIZE))
    scaled: np.ndarray = found / np.linalg.norm(found)
    return scaled


async def refusal(embedder: RemoteEmbedder, *texts: str) -> str:
    """The one line of an EmbeddingUnavailableError."""
    with pytest.raises(EmbeddingUnavailableError) as refused:
        await (embedder.embed(texts) if texts else embedder.open())
    line = str(refused.value)
    assert "\n" not in line
    assert KEY not in line
    assert line.startswith(f"{embedder.name} at http://127.0.0.1:")
    return line


def test_vectors_come_back_unit_in_order_in_bounded_batches(stage: Stage) -> None:
    async def life(server: Server, embedder: RemoteEmbedder) -> None:
        server.delay = 0.02
        texts = [f"memory number {i} of many" for i in range(600)]
        vectors = await embedder.embed(texts)
        assert vectors.dtype == np.float32
        assert np.allclose(vectors, [unit(text) for text in texts], atol=1e-6)
        assert len(server.requests) == 10
        assert max(len(request["input"]) for request in server.requests) == 64
        assert 1 < server.busiest <= 4
        assert (await embedder.embed([])).shape == (0, SIZE)

    stage.opened(life)


def test_portkey_gets_its_key_and_config_in_headers(stage: Stage) -> None:
    async def life(server: Server, embedder: RemoteEmbedder) -> None:
        await embedder.embed(["x"])
        assert server.headers[-1].get("x-portkey-config") == (
            "pc-config" if stage.kind == "portkey" else None
        )
        assert KEY not in str(server.requests)

    stage.opened(life)


@pytest.mark.parametrize("fault", ["drop", 500, 502, 503, "broken", "html", "count", "nan", "null"])
def test_what_is_over_in_a_moment_is_tried_again(stage: Stage, fault: Any) -> None:
    async def life(server: Server, embedder: RemoteEmbedder) -> None:
        server.faults = [fault, fault]
        assert np.allclose(await embedder.embed(["a b c"]), unit("a b c"), atol=1e-6)
        assert len(server.requests) == 3

    stage.opened(life)


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        ("drop", "cannot be reached: "),
        (500, "500: failed on purpose, with "),
        (503, "503: failed on purpose, with "),
        (418, "418: failed on purpose, with "),
        (429, "429: over its quota"),
        ("broken", "an answer that cannot be used: not O"),
        ("html", "an answer that cannot be used: not O"),
        ("count", "an answer that cannot be used: "),
        ("nan", "an answer that cannot be used: "),
        ("null", "an answer that cannot be used: "),
    ],
)
def test_what_lasts_is_reported_in_one_line(stage: Stage, fault: Any, line: str) -> None:
    async def life(server: Server, embedder: RemoteEmbedder) -> None:
        server.always = fault
        assert line in await refusal(embedder, "a", "b")
        server.always = None
        assert len(await embedder.embed(["a", "b"])) == 2

    stage.opened(life)


@pytest.mark.parametrize("fault", ["hang", "slow"])
def test_a_slow_answer_is_given_up(stage: Stage, fault: str) -> None:
    async def life(server: Server, embedder: RemoteEmbedder) -> None:
        server.always = fault
        assert "no answer within 0.3 s" in await refusal(embedder)
        assert len(server.requests) == 2

    stage.unopened(life)


@pytest.mark.parametrize("fault", [401, 403])
def test_a_refused_key_is_not_tried_again(stage: Stage, fault: int) -> None:
    async def life(server: Server, embedder: RemoteEmbedder) -> None:
        server.always = fault
        assert f"{fault}: access denied, check {stage.kind.upper()}_" in await refusal(embedder, "a")
        assert len(server.requests) == 1

    stage.opened(life)


def test_a_wrong_key_is_said_at_open_and_not_shown(stage: Stage) -> None:
    async def life(server: Server, embedder: RemoteEmbedder) -> None:
        if stage.kind == "ollama":  # it has no key
            return
        line = await refusal(embedder)
        assert line.endswith(f"401: access denied, check {stage.kind.upper()}_API_KEY")
        assert "sk-wrong" not in line

    stage.unopened(life, key="sk-wrong-and-secret")


def test_an_unknown_model_is_said_at_open(stage: Stage) -> None:
    async def life(server: Server, embedder: RemoteEmbedder) -> None:
        assert "404: no model 'nope' there (" in await refusal(embedder)
        assert len(server.requests) == 1
        assert "not open yet" in await refusal(embedder, "a")

    stage.unopened(life, model="nope")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://127.0.0.1:99999"])
def test_nobody_there_is_one_line(stage: Stage, url: str) -> None:
    async def life(server: Server, embedder: RemoteEmbedder) -> None:
        assert "cannot be reached: " in await refusal(embedder)

    stage.unopened(life, url=url)


def test_retry_after_is_kept_to(stage: Stage) -> None:
    async def life(server: Server, embedder: RemoteEmbedder) -> None:
        server.faults = [(429, ["retry-after: 0.5"])]
        start = time.monotonic()
        await embedder.embed(["a"])
        assert time.monotonic() - start >= 0.5
        assert len(server.requests) == 2

    stage.opened(life)


def test_a_long_rest_is_reported_and_kept_to(stage: Stage) -> None:
    async def life(server: Server, embedder: RemoteEmbedder) -> None:
        server.faults = [(429, [f"retry-after: {formatdate(time.time() + 90, usegmt=True)}"])]
        assert "429: over its quota, retry after " in await refusal(embedder, "a")
        assert "429" in await refusal(embedder, "b")
        assert len(server.requests) == 1

    stage.opened(life)


def test_a_text_beyond_the_models_window_is_embedded_in_parts(stage: Stage) -> None:
    async def life(server: Server, embedder: RemoteEmbedder) -> None:
        texts = ["short", "the tide comes in " * 500, "x" * 10_000, "other"]
        vectors = await embedder.embed(texts)
        assert np.allclose(vectors, [(await embedder.embed([each]))[0] for each in texts], atol=1e-6)
        assert vectors[1] @ unit("the tide comes in") > 0.99
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)

    stage.opened(life)


def test_one_text_that_never_works_is_named_and_the_others_do(stage: Stage) -> None:
    async def life(server: Server, embedder: RemoteEmbedder) -> None:
        server.poison = "zebra"
        texts = [f"memory {i}" for i in range(70)]
        texts[66] = "a zebra crossing"
        with pytest.raises(EmbeddingFailedError, match="500: failed on purpose") as failed:
            await embedder.embed(texts)
        assert failed.value.index == 66
        assert KEY not in str(failed.value)
        assert len(await embedder.embed(texts[:66] + texts[67:])) == 69

    stage.opened(life)


def test_a_model_that_changes_its_size_is_never_mixed_in(stage: Stage) -> None:
    async def life(server: Server, embedder: RemoteEmbedder) -> None:
        server.always = "size"
        for attempt in (await refusal(embedder, "a"), await refusal(embedder)):
            assert attempt.endswith("vectors of 9 numbers where there were 8: the model changed")

    stage.opened(life)


def test_a_known_models_size_is_insisted_on(stage: Stage) -> None:
    async def life(server: Server, embedder: RemoteEmbedder) -> None:
        server.always = "size"
        assert f"{KNOWN[stage.kind]} has " in await refusal(embedder)
        server.always = None
        await embedder.open()
        assert embedder.size == server.sizes[KNOWN[stage.kind]]

    stage.unopened(life, model=KNOWN[stage.kind])


def test_half_a_surrogate_pair_is_refused_by_place(stage: Stage) -> None:
    async def life(server: Server, embedder: RemoteEmbedder) -> None:
        with pytest.raises(EmbeddingFailedError) as failed:
            await embedder.embed(["fine", "\ud800"])
        assert failed.value.index == 1
        assert not server.requests

    stage.opened(life)


def test_a_password_in_the_address_is_not_shown() -> None:
    assert OllamaEmbeddings("m", "http://me:secret@host:1/base/?x=1").address == "http://host:1/base"
