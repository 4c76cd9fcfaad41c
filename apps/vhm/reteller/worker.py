"""Retell: decode the beats of a recall, tell them, answer with the story."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from vhm import language
from vhm.contract import headers, retell_headers
from vhm.contract.messages import INVALID, InvalidMessageError, RecallResponse, RetellResponse, decode, encode
from vhm.contract.retell_headers import Asked
from vhm.contract.topics import RETELL_RESPONSE
from vhm.language import BUILT_IN, Retelling
from vhm.memory import templates
from vhm.memory.sentences import line
from vhm.reteller.settings import Settings
from vhm.runtime.handler import Outcome, Outgoing, Poison, Record, Reply

MOST_OF_AN_ERROR = 300
"""Characters of an error that the story quotes."""

log = structlog.get_logger("vhm.reteller")


class Reteller:
    """recall-response → a language model or the built-in teller → retell-response.

    One record a batch and 64 batches at once, so that a slow retelling delays no other.
    """

    name = "reteller"
    batch_size = 1
    max_batches = 64

    def __init__(self, settings: Settings) -> None:
        self._chain = language.create(settings, settings.provider_timeout_seconds)

    async def open(self) -> None:
        """See `Handler`. Nothing to open: the built-in teller needs nothing."""

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        """See `Handler`. A provider that fails is passed over by the chain."""
        return [await self._retell(record) for record in records]

    async def _retell(self, record: Record) -> Outcome:
        try:
            recalled = decode(RecallResponse, record.value)
        except InvalidMessageError as error:
            return Poison(reason=INVALID, errors=tuple(error.errors))
        if record.header(headers.TELL) == b"0":
            return Reply()
        request_id = str(recalled.request_id)
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            retelling = await self._tell(recalled, retell_headers.decode(record.headers))
            log.info("retold", beats=len(recalled.beats), teller=retelling.teller)
        return Reply((_retold(recalled, retelling.text),))

    def failed(self, record: Record, error: str) -> Sequence[Outgoing]:
        """See `Handler`. Whoever asked for no story waits for none."""
        if record.header(headers.TELL) == b"0":
            return ()
        story = templates.UNTOLD.format(error=line(error)[:MOST_OF_AN_ERROR])
        return (_retold(decode(RecallResponse, record.value), story),)

    async def _tell(self, recalled: RecallResponse, asked: Asked) -> Retelling:
        """The story: of the beats, of an error (not the same as no memory), or of an empty store."""
        if recalled.error is not None:
            error = line(recalled.error)[:MOST_OF_AN_ERROR].rstrip(".")
            return Retelling(templates.FAILED.format(error=error), BUILT_IN)
        if not recalled.beats and asked.empty:
            return Retelling(templates.EMPTY, BUILT_IN)
        return await self._chain.retell(recalled.beats, asked.question, asked.now)

    async def not_ready(self) -> Sequence[str]:
        """See `Handler`. Never: the built-in teller always works."""
        return ()

    def details(self) -> Sequence[str]:
        """See `Handler`. Every model: in use, failing, or passed over and why."""
        return self._chain.states()

    def drain(self, seconds: float) -> None:
        """See `Handler`. The built-in teller tells what is still with a provider at half of `seconds`."""
        self._chain.hurry(seconds / 2)

    async def close(self) -> None:
        """See `Handler`."""
        await self._chain.close()


def _retold(recalled: RecallResponse, text: str) -> Outgoing:
    response = RetellResponse(request_id=recalled.request_id, retelling=text)
    return Outgoing(topic=RETELL_RESPONSE, key=str(recalled.request_id).encode(), value=encode(response))


def make(settings: Settings) -> Reteller:
    """The reteller for these settings. Raises SettingsError when a library is missing."""
    return Reteller(settings)
