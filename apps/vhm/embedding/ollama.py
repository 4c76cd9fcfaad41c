"""Ollama's /api/embed."""

from __future__ import annotations

from collections.abc import Sequence

import httpx
import msgspec

from vhm.provider_errors import address, bad_answer, from_ollama, unreachable


class _Response(msgspec.Struct):
    embeddings: list[list[float]]


class OllamaEmbeddings:
    """`EmbeddingProvider` of `ollama:NAME`, a model that the server has pulled."""

    def __init__(self, model: str, base_url: str) -> None:
        self.name = f"ollama:{model}"
        self.address = address(base_url)
        self._model = model
        # the caller bounds the time of a call
        self._client = httpx.AsyncClient(base_url=base_url, timeout=None)  # noqa: S113

    async def vectors(self, texts: Sequence[str]) -> list[list[float]]:
        """See `EmbeddingProvider`. A text beyond the model's window is refused rather than silently cut."""
        request = {"model": self._model, "input": list(texts), "truncate": False}
        try:
            response = await self._client.post("/api/embed", json=request)
        except Exception as error:  # whatever the library raises becomes one line
            raise unreachable(error) from error
        if response.is_error:
            raise from_ollama(response.status_code, response.content, response.headers, model=self._model)
        try:
            return msgspec.json.decode(response.content, type=_Response).embeddings
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise bad_answer("not Ollama's JSON") from error

    async def close(self) -> None:
        """See `EmbeddingProvider`."""
        await self._client.aclose()
