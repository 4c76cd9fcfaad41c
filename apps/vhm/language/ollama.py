"""Ollama, through its own HTTP API."""

from __future__ import annotations

import httpx
import msgspec

from vhm.language.postprocess import cleaned
from vhm.language.protocol import Refused, broken, refused
from vhm.memory.prompt import Prompt
from vhm.provider_errors import ollama_status


class _Answer(msgspec.Struct):
    """What of /api/generate's answer is used."""

    response: str
    done_reason: str = "stop"


class Ollama:
    """Tells with a model that an Ollama server has pulled."""

    def __init__(self, base_url: str, model: str, timeout_seconds: float) -> None:
        self.name = f"ollama {model}"
        self._model = model
        self._client = httpx.AsyncClient(
            base_url=base_url, timeout=timeout_seconds, limits=httpx.Limits(max_connections=None)
        )

    async def tell(self, prompt: Prompt) -> str:
        """See `Teller.tell`."""
        try:
            response = await self._client.post(
                "/api/generate",
                json={
                    "model": self._model,
                    "system": prompt.system,
                    "prompt": prompt.user,
                    "stream": False,
                    "think": False,
                    "options": {"temperature": prompt.temperature, "num_predict": prompt.max_tokens},
                },
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise broken(error, str(self._client.base_url)) from error
        if response.is_error:
            status = ollama_status(response.status_code, response.content, response.headers)
            raise refused(status, self._model)
        try:
            answer = msgspec.json.decode(response.content, type=_Answer)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Refused("an answer that is not Ollama's JSON") from error
        return cleaned(answer.response, cut_short=answer.done_reason == "length")

    async def close(self) -> None:
        """See `Teller.close`."""
        await self._client.aclose()
