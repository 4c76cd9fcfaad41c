"""Portkey, a gateway to many models."""

from __future__ import annotations

from collections.abc import Sequence

from portkey_ai import AsyncPortkey

from vhm.contract.env_loader import Secret
from vhm.embedding._openai_compat import fault, rows
from vhm.provider_errors import address


class Portkey:
    """Provider of `portkey:NAME`, through the portkey_ai library, whose errors look like openai's but are a
    copy's of its own."""

    def __init__(self, model: str, key: Secret, base_url: str | None, config: str | None) -> None:
        self.name = f"portkey:{model}"
        self._model, self._key = model, key
        self._client = AsyncPortkey(api_key=key.reveal(), base_url=base_url, config=config)
        # tries and time are counted by the caller
        self._client.openai_client.max_retries = 0
        self.where = address(str(self._client.openai_client.base_url))

    async def vectors(self, texts: Sequence[str]) -> list[list[float]]:
        """See Provider.vectors."""
        try:
            return rows(
                await self._client.embeddings.create(
                    model=self._model,
                    input=list(texts),
                    encoding_format="float",
                )
            )
        except Exception as error:  # whatever a client library throws has to become one line
            raise fault(error, self._model, self._key, "PORTKEY_API_KEY") from error

    async def close(self) -> None:
        """See Provider.close."""
        await self._client.openai_client.close()
        await self._client.close()
