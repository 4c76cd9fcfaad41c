"""OpenAI, and servers that speak its API at OPENAI_BASE_URL."""

from __future__ import annotations

from collections.abc import Sequence

from openai import AsyncOpenAI

from vhm.contract.env_loader import Secret
from vhm.embedding._openai_compat import fault, rows
from vhm.provider_errors import address


class OpenAI:
    """Provider of `openai:NAME`, through the openai library."""

    def __init__(self, model: str, key: Secret, base_url: str | None) -> None:
        self.name = f"openai:{model}"
        self._model, self._key = model, key
        # tries and time are counted by the caller
        self._client = AsyncOpenAI(api_key=key.reveal(), base_url=base_url, max_retries=0, timeout=None)
        self.where = address(str(self._client.base_url))

    async def vectors(self, texts: Sequence[str]) -> list[list[float]]:
        """See Provider.vectors."""
        try:
            return rows(
                await self._client.embeddings.create(
                    model=self._model, input=list(texts), encoding_format="float"
                )
            )
        except Exception as error:  # whatever a client library throws has to become one line
            raise fault(error, self._model, self._key, "OPENAI_API_KEY") from error

    async def close(self) -> None:
        """See Provider.close."""
        await self._client.close()
