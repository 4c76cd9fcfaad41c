import subprocess
import sys

import pytest

from vhm.contract.env_loader import Secret
from vhm.contract.settings import EmbeddingSettings
from vhm.embedding import canonical, create


def settings(model: str) -> EmbeddingSettings:
    return EmbeddingSettings(
        kafka_bootstrap_servers="h:1",
        qdrant_url="local::memory:",
        embedding_model=model,
        ollama_base_url="http://127.0.0.1:9",
        openai_api_key=Secret("k"),
        portkey_api_key=Secret("k"),
    )


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("deterministic", "deterministic"),
        ("minilm", "minilm"),
        ("bge-m3", "ollama:bge-m3"),
        ("ollama:bge-m3", "ollama:bge-m3"),
        ("ollama:nomic-embed-text:v1.5", "ollama:nomic-embed-text:v1.5"),
        ("openai:text-embedding-3-small", "openai:text-embedding-3-small"),
        ("portkey:@azure/cohere-embed-v3", "portkey:@azure/cohere-embed-v3"),
    ],
)
def test_a_setting_names_one_embedder(model: str, name: str) -> None:
    assert create(settings(model)).name == canonical(model) == name


def test_nothing_is_imported_that_is_not_chosen() -> None:
    heavy = "'onnxruntime', 'tokenizers', 'openai', 'portkey_ai', 'httpx', 'stamina'"
    code = f"import sys, vhm.embedding, vhm.embedding.deterministic; print({{{heavy}}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
