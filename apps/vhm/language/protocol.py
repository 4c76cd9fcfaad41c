"""What a language model is to the chain that falls back from one to the next."""

from __future__ import annotations

from typing import Protocol

from vhm.memory.prompt import Prompt


class ChatModel(Protocol):
    """One model of one provider."""

    name: str
    """Provider and model, for logs."""

    async def complete(self, prompt: Prompt) -> str:
        """The model's answer, cleaned. Raises ProviderError. May be cancelled at any time."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...
