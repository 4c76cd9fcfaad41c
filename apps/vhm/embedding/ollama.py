"""Ollama, through its own HTTP API."""

from __future__ import annotations

from collections.abc import Sequence

import httpx
import msgspec

from vhm.embedding.errors import broken, odd, refused
from vhm.provider_errors import address, ollama_status


class _Answer(msgspec.Struct):
    embeddings: list[list[float]]


class Ollama:
    """Provider of `ollama:NAME`, a model that the server has pulled."""

    def __init__(self, model: str, base_url: str) -> None:
        self.name = f"ollama:{model}"
        self._model = model
        self._client = httpx.AsyncClient(base_url=base_url, timeout=None)  # noqa: S113 the caller bounds it
        self.where = address(base_url)

    async def vectors(self, texts: Sequence[str]) -> list[list[float]]:
        """See Provider.vectors. A text beyond the model's window is refused rather than silently cut."""
        request = {"model": self._model, "input": list(texts), "truncate": False}
        try:
            response = await self._client.post("/api/embed", json=request)
        except Exception as error:  # whatever a client library throws has to become one line
            raise broken(error) from error
        if response.is_error:
            status = ollama_status(response.status_code, response.content, response.headers)
            raise refused(status, self._model, "OLLAMA_BASE_URL")
        try:
            return msgspec.json.decode(response.content, type=_Answer).embeddings
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise odd("not Ollama's JSON") from error

    async def close(self) -> None:
        """See Provider.close."""
        await self._client.aclose()
