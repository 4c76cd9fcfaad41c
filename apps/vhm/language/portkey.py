"""Portkey, a gateway to many models, chosen by a model's name or by a config kept there."""

from __future__ import annotations

from portkey_ai import AsyncPortkey
from portkey_ai._vendor.openai import OpenAIError

from vhm.contract.env_loader import Secret
from vhm.language._openai_compat import failure, messages, story
from vhm.memory.prompt import Prompt

_DEFERRED = "portkey-default"
"""The library's own word for: the config says which model."""


class Portkey:
    """Tells through the portkey_ai library. Its errors look like openai's but are a copy's of its own."""

    def __init__(
        self, key: Secret, model: str | None, config: str | None, base_url: str | None, timeout_seconds: float
    ) -> None:
        self.name = f"portkey {model or f'config {config}'}"
        self._model = model or _DEFERRED
        self._timeout = timeout_seconds
        self._key = key
        self._client = AsyncPortkey(api_key=key.reveal(), base_url=base_url, config=config)
        self._client.openai_client.max_retries = 0

    async def tell(self, prompt: Prompt) -> str:
        """See `Teller.tell`."""
        try:
            completion = await self._client.chat.completions.create(
                model=self._model,
                messages=messages(prompt),
                temperature=prompt.temperature,
                max_tokens=prompt.max_tokens,
                stream=False,
                timeout=self._timeout,
            )
        except (OpenAIError, ValueError, TypeError) as error:
            raise failure(error, self._model, self._key, str(self._client.base_url)) from error
        return story(completion)

    async def close(self) -> None:
        """See `Teller.close`."""
        await self._client.openai_client.close()
        await self._client.close()
