"""EMBEDDING_MODEL → the embedder it names."""

from __future__ import annotations

from vhm.contract.settings import BARE_OLLAMA_NAMES, EmbeddingSettings
from vhm.embedding.protocol import Embedder


def canonical(model: str) -> str:
    """The one name of a model: "bge-m3" is "ollama:bge-m3", everything else is its own."""
    return f"ollama:{model}" if model in BARE_OLLAMA_NAMES else model


def create(settings: EmbeddingSettings) -> Embedder:
    """The embedder that EMBEDDING_MODEL names, not yet open; only its own libraries are imported."""
    provider, _, _name = canonical(settings.embedding_model).partition(":")
    if provider == "deterministic":
        from vhm.embedding.deterministic import Deterministic

        return Deterministic()
    from vhm.embedding.minilm import MiniLM

    return MiniLM()
