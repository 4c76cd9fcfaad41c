"""Ollama's /api/generate."""

from __future__ import annotations

import httpx
import msgspec

from vhm.language.postprocess import clean
from vhm.memory.prompt import Prompt
from vhm.provider_errors import bad_answer, from_ollama, unreachable


class _Response(msgspec.Struct):
    response: str
    done_reason: str = "stop"


class OllamaChat:
    """`ChatModel` of a model that an Ollama server has pulled."""

    def __init__(self, base_url: str, model: str, timeout_seconds: float) -> None:
        self.name = f"ollama {model}"
        self._model = model
        self._client = httpx.AsyncClient(
            base_url=base_url, timeout=timeout_seconds, limits=httpx.Limits(max_connections=None)
        )

    async def complete(self, prompt: Prompt) -> str:
        """See `ChatModel`."""
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
            raise unreachable(error, str(self._client.base_url)) from error
        if response.is_error:
            raise from_ollama(response.status_code, response.content, response.headers, model=self._model)
        try:
            answer = msgspec.json.decode(response.content, type=_Response)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise bad_answer("not Ollama's JSON") from error
        return clean(answer.response, cut_short=answer.done_reason == "length")

    async def close(self) -> None:
        """See `ChatModel`."""
        await self._client.aclose()
