"""The two ways in which embedding fails."""

from __future__ import annotations


class EmbeddingUnavailableError(Exception):
    """The model cannot be used now: not loaded, not reachable, not allowed, or of another size than before.

    The same texts may succeed later. The message is one line: what, where, why; never a secret.
    """


class EmbeddingFailedError(Exception):
    """A text that this model will never embed. `index` is its place among the texts given."""

    def __init__(self, message: str, index: int) -> None:
        super().__init__(message)
        self.index = index
