"""OpenAI's chat completions, and those of servers that speak its API at OPENAI_BASE_URL."""

from __future__ import annotations

from openai import AsyncOpenAI, OpenAIError

from vhm.contract.env_loader import Secret
from vhm.language._openai_compat import answer_of, messages
from vhm.memory.prompt import Prompt
from vhm.provider_errors import from_openai


class OpenAIChat:
    """`ChatModel` of OpenAI. It retries nothing: the fallback chain decides what a failure means."""

    def __init__(self, key: Secret, model: str, base_url: str | None, timeout_seconds: float) -> None:
        self.name = f"openai {model}"
        self._model = model
        self._key = key
        self._client = AsyncOpenAI(
            api_key=key.reveal(), base_url=base_url, max_retries=0, timeout=timeout_seconds
        )

    async def complete(self, prompt: Prompt) -> str:
        """See `ChatModel`."""
        try:
            completion = await self._client.chat.completions.create(
                model=self._model,
                messages=messages(prompt),
                temperature=prompt.temperature,
                max_tokens=prompt.max_tokens,
                stream=False,
            )
        except (OpenAIError, ValueError) as error:
            url = str(self._client.base_url)
            raise from_openai(
                error, model=self._model, key=self._key, setting="OPENAI_API_KEY", url=url
            ) from error
        return answer_of(completion)

    async def close(self) -> None:
        """See `ChatModel`."""
        await self._client.close()
