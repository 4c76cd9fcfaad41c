"""OpenAI, and servers that speak its API at OPENAI_BASE_URL."""

from __future__ import annotations

from openai import AsyncOpenAI, OpenAIError

from vhm.contract.env_loader import Secret
from vhm.language._openai_compat import failure, messages, story
from vhm.memory.prompt import Prompt


class OpenAI:
    """Tells through the openai library. The chain decides what a failure means, so it retries nothing."""

    def __init__(self, key: Secret, model: str, base_url: str | None, timeout_seconds: float) -> None:
        self.name = f"openai {model}"
        self._model = model
        self._key = key
        self._client = AsyncOpenAI(
            api_key=key.reveal(), base_url=base_url, max_retries=0, timeout=timeout_seconds
        )

    async def tell(self, prompt: Prompt) -> str:
        """See `Teller.tell`."""
        try:
            completion = await self._client.chat.completions.create(
                model=self._model,
                messages=messages(prompt),
                temperature=prompt.temperature,
                max_tokens=prompt.max_tokens,
                stream=False,
            )
        except (OpenAIError, ValueError) as error:
            raise failure(error, self._model, self._key, str(self._client.base_url)) from error
        return story(completion)

    async def close(self) -> None:
        """See `Teller.close`."""
        await self._client.close()
