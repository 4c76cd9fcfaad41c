"""Falling back from one language model to the next, and to the built-in teller after the last.

A retelling is never lost because a provider is down, and a slow one delays no other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec
import structlog

from vhm.contract.messages import Beat
from vhm.language.circuit_breaker import CircuitBreaker
from vhm.language.protocol import ChatModel
from vhm.memory import builtin_teller, prompt
from vhm.memory.grounding import unsupported
from vhm.provider_errors import FailureKind, ProviderError, unreachable

log = structlog.get_logger("vhm.language")

BUILT_IN = "built-in"
"""The built-in teller's name in logs and on the health page."""

DENIED_SECONDS = 30.0
"""Pause of a provider that refuses the key or lacks the model: asking again changes nothing."""


class Retelling(msgspec.Struct, frozen=True):
    """A story and the name of the model that told it."""

    text: str
    teller: str


class _HurriedError(Exception):
    """There is no time left to wait for a provider."""


class FallbackChain:
    """Models in order of preference, each behind a circuit breaker. Serves any number of calls at once."""

    def __init__(
        self,
        models: Sequence[ChatModel],
        timeout_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._models = [(model, CircuitBreaker(clock)) for model in models]
        self._timeout = timeout_seconds
        self._hurried: asyncio.Future[None] | None = None

    async def retell(
        self, beats: Sequence[Beat], question: str = "", now: datetime | None = None
    ) -> Retelling:
        """The story of these beats. Never raises because of a provider."""
        request = prompt.prompt(beats, question, now) if any(beat.text.strip() for beat in beats) else None
        for model, breaker in self._models:
            if request is None or self._hurry().done():
                break
            if not breaker.allows():
                log.info("provider passed over", provider=model.name, why=breaker.state())
                continue
            try:
                text = await self._call(model, request)
            except ProviderError as error:
                log.warning("provider passed over", provider=model.name, why=str(error))
                if error.kind is FailureKind.DECLINED:
                    breaker.succeeded()
                else:
                    denied = DENIED_SECONDS if error.kind is FailureKind.DENIED else 0.0
                    breaker.failed(str(error), max(denied, error.retry_after))
            except _HurriedError:
                log.info("provider passed over", provider=model.name, why="no time left to wait for it")
                breaker.abandoned()
                break
            except asyncio.CancelledError:
                breaker.abandoned()
                raise
            else:
                breaker.succeeded()
                return Retelling(text, model.name)
        return Retelling(builtin_teller.tell(beats, question, now), BUILT_IN)

    async def _call(self, model: ChatModel, request: prompt.Prompt) -> str:
        call = asyncio.ensure_future(model.complete(request))
        try:
            hurry = self._hurry()
            await asyncio.wait((call, hurry), timeout=self._timeout, return_when=asyncio.FIRST_COMPLETED)
            if call.done():
                return _grounded(call.result(), request)
        except (ProviderError, asyncio.CancelledError):
            raise
        except Exception as error:  # whatever the library raises, the story is told
            raise unreachable(error) from error
        finally:
            call.cancel()
        if hurry.done():
            raise _HurriedError
        raise ProviderError(f"no answer within {self._timeout:g} s", FailureKind.UNAVAILABLE)

    def hurry(self, after_seconds: float = 0.0) -> None:
        """From then on no call waits for a provider: the built-in teller tells what is still with one."""
        asyncio.get_running_loop().call_later(after_seconds, self._set_hurried)

    def _set_hurried(self) -> None:
        hurry = self._hurry()
        if not hurry.done():
            hurry.set_result(None)

    def _hurry(self) -> asyncio.Future[None]:
        """Done once there is no time left."""
        if self._hurried is None:
            self._hurried = asyncio.get_running_loop().create_future()
        return self._hurried

    def states(self) -> list[str]:
        """One line for each model, in order: its name and whether it is called; fit for a health page."""
        return [f"{model.name}: {breaker.state()}" for model, breaker in self._models] + [
            f"{BUILT_IN}: always there"
        ]

    async def close(self) -> None:
        """Close the models' connections."""
        await asyncio.gather(*(model.close() for model, _ in self._models), return_exceptions=True)


def _grounded(story: str, request: prompt.Prompt) -> str:
    """The story, if it holds no number or name that its memories do not. Raises ProviderError."""
    strange = unsupported(story, request.sources)
    if strange:
        # what they are is not said: a log is no place for memories
        raise ProviderError(
            f"an answer with {len(strange)} numbers or names that no memory has", FailureKind.DECLINED
        )
    return story
