"""Beats → a story: language models in order of preference, the built-in teller after the last."""

from vhm.language.factory import create
from vhm.language.fallback import BUILT_IN, FallbackChain, Retelling
from vhm.language.protocol import ChatModel

__all__ = ["BUILT_IN", "ChatModel", "FallbackChain", "Retelling", "create"]
