"""The fallback chain: no provider, slow providers, providers that keep failing, and no time left."""

from __future__ import annotations

import asyncio
import time

import pytest
import structlog

from language.provider_server import STORY, ProviderServer, error, slowly, told
from language.test_providers import BEATS, settings
from vhm import language
from vhm.language.fallback import FallbackChain
from vhm.language.ollama import OllamaChat
from vhm.memory import builtin_teller


def test_without_providers_the_built_in_teller_tells():
    retelling = asyncio.run(language.create(settings(""), 30).retell(BEATS))
    assert retelling == language.Retelling(builtin_teller.tell(BEATS), "built-in")


def test_nothing_to_tell_is_said_so():
    retelling = asyncio.run(language.create(settings(""), 30).retell([]))
    assert retelling.text == "Nothing I remember is about that."


@pytest.mark.parametrize("provider", ["openai", "portkey", "ollama"])
def test_a_slow_retelling_delays_no_other(provider):
    async def run():
        async with ProviderServer.running(told(STORY)) as server:
            hang, quick = slowly(told(STORY), pause=20), told(STORY)
            server.behave = lambda request: (hang if len(server.requests) <= 20 else quick)(request)
            chain = language.create(settings(server.url, provider), 20)
            slow = [asyncio.create_task(chain.retell(BEATS)) for _ in range(20)]
            await server.asked(20)
            began = time.monotonic()
            others = await asyncio.gather(*(chain.retell(BEATS) for _ in range(30)))
            took = time.monotonic() - began
            pending = sum(not task.done() for task in slow)
            for task in slow:
                task.cancel()
            await asyncio.gather(*slow, return_exceptions=True)
            await chain.close()
            return others, took, pending

    others, took, pending = asyncio.run(run())
    assert {told.text for told in others} == {STORY}
    assert pending == 20
    assert took < 5


def test_a_provider_that_keeps_failing_is_left_alone_and_tried_again_later():
    now = [100.0]

    async def run():
        async with ProviderServer.running(error(500, "out of memory")) as server:
            chain = FallbackChain([OllamaChat(server.url, "llama3", 5)], 5, clock=lambda: now[0])
            with structlog.testing.capture_logs() as log:
                for _ in range(10):
                    assert (await chain.retell(BEATS)).teller == "built-in"
            asked, state = len(server.requests), chain.states()[0]
            server.behave = told(STORY)
            now[0] += 31
            again = await chain.retell(BEATS)
            healthy = chain.states()[0]
            await chain.close()
            return asked, state, log, again, healthy

    asked, state, log, again, healthy = asyncio.run(run())
    assert asked == 3
    assert state == "ollama llama3: passed over for 30 s more; last failure: 500: out of memory"
    assert len(log) == 10
    assert again.text == STORY
    assert healthy == "ollama llama3: in use"


def test_retry_after_is_kept_to():
    now = [100.0]

    async def run():
        async with ProviderServer.running(error(429, "slow down", retry_after="12")) as server:
            chain = FallbackChain([OllamaChat(server.url, "llama3", 5)], 5, clock=lambda: now[0])
            asked = []
            for pause in (0, 11, 1.5):
                now[0] += pause
                await chain.retell(BEATS)
                asked.append(len(server.requests))
            await chain.close()
            return asked

    assert asyncio.run(run()) == [1, 1, 2]


@pytest.mark.parametrize("provider", ["openai", "portkey", "ollama"])
def test_with_no_time_left_the_built_in_teller_tells_what_is_still_with_a_provider(provider):
    async def run():
        async with ProviderServer.running(slowly(told(STORY), pause=30)) as server:
            chain = language.create(settings(server.url, provider), 30)
            waiting = [asyncio.create_task(chain.retell(BEATS)) for _ in range(5)]
            await server.asked(5)
            began = time.monotonic()
            chain.hurry(0.2)
            with structlog.testing.capture_logs() as log:
                retold = await asyncio.gather(*waiting)
                later = await chain.retell(BEATS)
            took = time.monotonic() - began
            state = chain.states()[0]
            await chain.close()
            return retold, later, took, len(server.requests), log, state

    retold, later, took, asked, log, state = asyncio.run(run())
    assert {each.teller for each in [*retold, later]} == {"built-in"}
    assert 0.15 < took < 1.5
    assert asked == 5
    assert {line["why"] for line in log} == {"no time left to wait for it"}
    assert state.endswith("not called yet")


def test_a_retelling_given_up_by_its_caller_is_given_up_with_the_provider():
    async def run():
        async with ProviderServer.running(slowly(told(STORY), pause=30)) as server:
            chain = language.create(settings(server.url, "ollama"), 30)
            task = asyncio.create_task(chain.retell(BEATS))
            await server.asked(1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            state = chain.states()[0]
            await chain.close()
            return state

    assert asyncio.run(run()) == "ollama llama3: not called yet"
