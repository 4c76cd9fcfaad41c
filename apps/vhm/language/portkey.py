"""Chat completions through Portkey, a gateway to many models."""

from __future__ import annotations

from portkey_ai import AsyncPortkey
from portkey_ai._vendor.openai import OpenAIError

from vhm.contract.env_loader import Secret
from vhm.language._openai_compat import answer_of, messages
from vhm.memory.prompt import Prompt
from vhm.provider_errors import from_openai

MODEL_OF_CONFIG = "portkey-default"
"""The library's name for the model that the saved config names."""


class PortkeyChat:
    """`ChatModel` named by its model or by a config saved at Portkey. The errors of portkey_ai have the shape
    of openai's, but are classes of a copy of its own."""

    def __init__(
        self, key: Secret, model: str | None, config: str | None, base_url: str | None, timeout_seconds: float
    ) -> None:
        self.name = f"portkey {model or f'config {config}'}"
        self._model = model or MODEL_OF_CONFIG
        self._timeout = timeout_seconds
        self._key = key
        self._client = AsyncPortkey(api_key=key.reveal(), base_url=base_url, config=config)
        self._client.openai_client.max_retries = 0

    async def complete(self, prompt: Prompt) -> str:
        """See `ChatModel`."""
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
            url = str(self._client.base_url)
            raise from_openai(
                error, model=self._model, key=self._key, setting="PORTKEY_API_KEY", url=url
            ) from error
        return answer_of(completion)

    async def close(self) -> None:
        """See `ChatModel`."""
        await self._client.openai_client.close()
        await self._client.close()
