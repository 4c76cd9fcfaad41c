"""Who tells a story: the first provider that can, and the built-in teller when none does.

A retelling is never lost because a provider was down, and a slow one delays no other retelling.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec
import structlog

from vhm.contract.messages import Beat
from vhm.contract.settings import LanguageSettings
from vhm.language.circuit_breaker import Breaker
from vhm.language.protocol import Refused, Teller, broken
from vhm.memory import builtin_teller, prompt
from vhm.memory.grounding import unsupported

log = structlog.get_logger("vhm.language")

BUILT_IN = "built-in"


class Retelling(msgspec.Struct, frozen=True):
    """A story and who told it."""

    text: str
    teller: str


class _Hurried(Exception):
    """There is no time left to wait for a provider."""


class Chain:
    """Providers in order of preference. One chain serves any number of retellings at once."""

    def __init__(
        self,
        tellers: Sequence[Teller],
        timeout_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._links = [(each, Breaker(clock)) for each in tellers]
        self._timeout = timeout_seconds
        self._hurry: asyncio.Future[None] | None = None

    async def retell(
        self, beats: Sequence[Beat], question: str = "", now: datetime | None = None
    ) -> Retelling:
        """The story of these beats. Never raises because of a provider."""
        request = prompt.prompt(beats, question, now) if any(beat.text.strip() for beat in beats) else None
        for provider, breaker in self._links:
            if request is None or self._hurrying().done():
                break
            if not breaker.allows():
                log.info("provider passed over", provider=provider.name, why=breaker.state())
                continue
            try:
                text = await self._ask(provider, request)
            except Refused as refusal:
                log.warning("provider passed over", provider=provider.name, why=str(refusal))
                if refusal.its_fault:
                    breaker.failed(str(refusal), refusal.pause)
                else:
                    breaker.succeeded()
            except _Hurried:
                log.info("provider passed over", provider=provider.name, why="no time left to wait for it")
                breaker.abandoned()
                break
            except asyncio.CancelledError:
                breaker.abandoned()
                raise
            else:
                breaker.succeeded()
                return Retelling(text, provider.name)
        return Retelling(builtin_teller.tell(beats, question, now), BUILT_IN)

    async def _ask(self, provider: Teller, request: prompt.Prompt) -> str:
        call = asyncio.ensure_future(provider.tell(request))
        try:
            hurry = self._hurrying()
            await asyncio.wait((call, hurry), timeout=self._timeout, return_when=asyncio.FIRST_COMPLETED)
            if call.done():
                return _grounded(call.result(), request)
        except (Refused, asyncio.CancelledError):
            raise
        except Exception as error:  # whatever a client library throws, the story is told
            raise broken(error) from error
        finally:
            call.cancel()
        if hurry.done():
            raise _Hurried
        raise Refused(f"no answer within {self._timeout:g} s")

    def hurry(self, after_seconds: float = 0.0) -> None:
        """From then on nothing waits for a provider: the built-in teller tells what is still with one."""
        asyncio.get_running_loop().call_later(after_seconds, self._no_time_left)

    def _no_time_left(self) -> None:
        hurry = self._hurrying()
        if not hurry.done():
            hurry.set_result(None)

    def _hurrying(self) -> asyncio.Future[None]:
        if self._hurry is None:
            self._hurry = asyncio.get_running_loop().create_future()
        return self._hurry

    def states(self) -> list[str]:
        """One line a provider, in order: its name and whether it is asked, fit for a health page."""
        return [f"{provider.name}: {breaker.state()}" for provider, breaker in self._links] + [
            f"{BUILT_IN}: always there"
        ]

    async def close(self) -> None:
        """Close the providers' connections."""
        await asyncio.gather(*(provider.close() for provider, _ in self._links), return_exceptions=True)


def _grounded(story: str, request: prompt.Prompt) -> str:
    """The story, if it holds no number or name that its memories do not. Raises Refused."""
    strange = unsupported(story, request.sources)
    if strange:
        # what they are is not said: a log is no place for memories
        raise Refused(f"an answer with {len(strange)} numbers or names that no memory has", its_fault=False)
    return story


def chain(settings: LanguageSettings, timeout_seconds: float) -> Chain:
    """The chain of those providers that the settings name; `timeout_seconds` bounds one call to one."""
    # a client's own timeout is each read's; the chain's is the whole call's, and is to come first
    return Chain(_tellers(settings, timeout_seconds + 1), timeout_seconds)


def _tellers(settings: LanguageSettings, timeout_seconds: float) -> list[Teller]:
    """Client libraries are imported here (openai 0.4 s, portkey 1 s), and only where they are used."""
    tellers: list[Teller] = []
    if settings.openai_api_key:
        from vhm.language.openai import OpenAI

        tellers.append(
            OpenAI(settings.openai_api_key, settings.openai_model, settings.openai_base_url, timeout_seconds)
        )
    if settings.portkey_api_key:
        from vhm.language.portkey import Portkey

        tellers.append(
            Portkey(
                settings.portkey_api_key,
                settings.portkey_model,
                settings.portkey_config_id,
                settings.portkey_base_url,
                timeout_seconds,
            )
        )
    if settings.ollama_base_url:
        from vhm.language.ollama import Ollama

        tellers.append(Ollama(settings.ollama_base_url, settings.ollama_model, timeout_seconds))
    return tellers
