"""The settings → the chain of the language models they name."""

from __future__ import annotations

from vhm import extras
from vhm.contract.settings import LanguageSettings
from vhm.language.fallback import FallbackChain
from vhm.language.protocol import ChatModel


def create(settings: LanguageSettings, timeout_seconds: float) -> FallbackChain:
    """The chain of those models whose key, or Ollama's URL, is set; `timeout_seconds` bounds one call to one.

    Raises SettingsError when a library that one of them needs is not installed.
    """
    # a client's own timeout is for one read, the chain's for the whole call; the chain's must come first
    return FallbackChain(_models(settings, timeout_seconds + 1), timeout_seconds)


def _models(settings: LanguageSettings, timeout_seconds: float) -> list[ChatModel]:
    """Client libraries are imported here (openai 0.4 s, portkey 1 s), and only where they are used."""
    models: list[ChatModel] = []
    if settings.openai_api_key:
        extras.require("openai", "OPENAI_API_KEY")
        from vhm.language.openai import OpenAIChat

        models.append(
            OpenAIChat(
                settings.openai_api_key, settings.openai_model, settings.openai_base_url, timeout_seconds
            )
        )
    if settings.portkey_api_key:
        extras.require("portkey", "PORTKEY_API_KEY")
        from vhm.language.portkey import PortkeyChat

        models.append(
            PortkeyChat(
                settings.portkey_api_key,
                settings.portkey_model,
                settings.portkey_config_id,
                settings.portkey_base_url,
                timeout_seconds,
            )
        )
    if settings.ollama_base_url:
        from vhm.language.ollama import OllamaChat

        models.append(OllamaChat(settings.ollama_base_url, settings.ollama_model, timeout_seconds))
    return models
