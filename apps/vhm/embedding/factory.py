"""EMBEDDING_MODEL → the embedder it names."""

from __future__ import annotations

from typing import TypeVar

from vhm.contract.settings import BARE_OLLAMA_NAMES, EmbeddingSettings
from vhm.embedding.protocol import Embedder

T = TypeVar("T")


def canonical(model: str) -> str:
    """The one name of a model: "bge-m3" is "ollama:bge-m3", everything else is its own."""
    return f"ollama:{model}" if model in BARE_OLLAMA_NAMES else model


def create(settings: EmbeddingSettings) -> Embedder:
    """The embedder that EMBEDDING_MODEL names, not yet open; only its own libraries are imported."""
    provider, _, model = canonical(settings.embedding_model).partition(":")
    if provider == "deterministic":
        from vhm.embedding.deterministic import Deterministic

        return Deterministic()
    if provider == "minilm":
        from vhm.embedding.minilm import MiniLM

        return MiniLM()
    from vhm.embedding.remote import Remote

    if provider == "ollama":
        from vhm.embedding.ollama import Ollama

        return Remote(Ollama(model, _set(settings.ollama_base_url)))
    if provider == "openai":
        from vhm.embedding.openai import OpenAI

        return Remote(OpenAI(model, _set(settings.openai_api_key), settings.openai_base_url))
    from vhm.embedding.portkey import Portkey

    key = _set(settings.portkey_api_key)
    return Remote(Portkey(model, key, settings.portkey_base_url, settings.portkey_config_id))


def _set(value: T | None) -> T:
    assert value is not None, "settings with a provider's model are refused without what it needs"  # noqa: S101
    return value
