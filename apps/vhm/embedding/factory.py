"""EMBEDDING_MODEL → the embedder it names."""

from __future__ import annotations

from typing import TypeVar

from vhm import extras
from vhm.contract.settings import BARE_OLLAMA_NAMES, EmbeddingSettings
from vhm.embedding.protocol import Embedder

T = TypeVar("T")


def canonical(model: str) -> str:
    """The full name of a model: "ollama:bge-m3" for "bge-m3"; any other name is full already."""
    return f"ollama:{model}" if model in BARE_OLLAMA_NAMES else model


def create(settings: EmbeddingSettings) -> Embedder:
    """The embedder that EMBEDDING_MODEL names, not yet open; only its own libraries are imported.

    Raises SettingsError when these are not installed.
    """
    provider, _, model = canonical(settings.embedding_model).partition(":")
    if provider in extras.MODULES:
        extras.require(provider, f"EMBEDDING_MODEL={settings.embedding_model}")
    if provider == "deterministic":
        from vhm.embedding.deterministic import DeterministicEmbedder

        return DeterministicEmbedder()
    if provider == "minilm":
        from vhm.embedding.minilm import MiniLMEmbedder

        return MiniLMEmbedder()
    from vhm.embedding.remote import RemoteEmbedder

    if provider == "ollama":
        from vhm.embedding.ollama import OllamaEmbeddings

        return RemoteEmbedder(OllamaEmbeddings(model, _checked(settings.ollama_base_url)))
    if provider == "openai":
        from vhm.embedding.openai import OpenAIEmbeddings

        key = _checked(settings.openai_api_key)
        return RemoteEmbedder(OpenAIEmbeddings(model, key, settings.openai_base_url))
    from vhm.embedding.portkey import PortkeyEmbeddings

    key = _checked(settings.portkey_api_key)
    return RemoteEmbedder(
        PortkeyEmbeddings(model, key, settings.portkey_base_url, settings.portkey_config_id)
    )


def _checked(value: T | None) -> T:
    assert value is not None, "EmbeddingSettings.conflicts refuses a model without it"  # noqa: S101
    return value
