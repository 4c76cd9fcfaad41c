"""OpenAI's embeddings, and those of servers that speak its API at OPENAI_BASE_URL."""

from __future__ import annotations

from collections.abc import Sequence

from openai import AsyncOpenAI

from vhm.contract.env_loader import Secret
from vhm.embedding._openai_compat import vectors_of
from vhm.provider_errors import address, from_openai


class OpenAIEmbeddings:
    """`EmbeddingProvider` of `openai:NAME`."""

    def __init__(self, model: str, key: Secret, base_url: str | None) -> None:
        self.name = f"openai:{model}"
        self._model, self._key = model, key
        # the caller bounds the time of a call and retries it
        self._client = AsyncOpenAI(api_key=key.reveal(), base_url=base_url, max_retries=0, timeout=None)
        self.address = address(str(self._client.base_url))

    async def vectors(self, texts: Sequence[str]) -> list[list[float]]:
        """See `EmbeddingProvider`."""
        try:
            return vectors_of(
                await self._client.embeddings.create(
                    model=self._model, input=list(texts), encoding_format="float"
                )
            )
        except Exception as error:  # whatever the library raises becomes one line
            raise from_openai(error, model=self._model, key=self._key, setting="OPENAI_API_KEY") from error

    async def close(self) -> None:
        """See `EmbeddingProvider`."""
        await self._client.close()
