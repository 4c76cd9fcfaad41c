"""Beats → a story: language models one behind the other, the built-in teller behind them all."""

from vhm.language.fallback import BUILT_IN, Chain, Retelling, chain
from vhm.language.protocol import Refused, Teller

__all__ = ["BUILT_IN", "Chain", "Refused", "Retelling", "Teller", "chain"]
