"""Embeddings through Portkey, a gateway to many models."""

from __future__ import annotations

from collections.abc import Sequence

from portkey_ai import AsyncPortkey

from vhm.contract.env_loader import Secret
from vhm.embedding._openai_compat import vectors_of
from vhm.provider_errors import address, from_openai


class PortkeyEmbeddings:
    """`EmbeddingProvider` of `portkey:NAME`. The errors of portkey_ai have the shape of openai's, but are
    classes of a copy of its own."""

    def __init__(self, model: str, key: Secret, base_url: str | None, config: str | None) -> None:
        self.name = f"portkey:{model}"
        self._model, self._key = model, key
        self._client = AsyncPortkey(api_key=key.reveal(), base_url=base_url, config=config)
        self._client.openai_client.max_retries = 0  # the caller retries
        self.address = address(str(self._client.openai_client.base_url))

    async def vectors(self, texts: Sequence[str]) -> list[list[float]]:
        """See `EmbeddingProvider`."""
        try:
            return vectors_of(
                await self._client.embeddings.create(
                    model=self._model,
                    input=list(texts),
                    encoding_format="float",
                )
            )
        except Exception as error:  # whatever the library raises becomes one line
            raise from_openai(error, model=self._model, key=self._key, setting="PORTKEY_API_KEY") from error

    async def close(self) -> None:
        """See `EmbeddingProvider`."""
        await self._client.openai_client.close()
        await self._client.close()
