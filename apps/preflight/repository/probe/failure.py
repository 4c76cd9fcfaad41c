"""A declared name that cannot be used."""

from __future__ import annotations


class Failure(Exception):
    """Which declaration failed, and why in one line."""

    def __init__(self, container: str, key: str, name: str, why: str) -> None:
        super().__init__(why)
        self.container, self.key, self.name, self.why = container, key, name, why

    def told(self) -> dict[str, str]:
        """As JSON."""
        return {"container": self.container, "key": self.key, "name": self.name, "why": self.why}


def one_line(error: BaseException) -> str:
    """The exception's own line, as the last line of its traceback would say it."""
    text = " ".join(str(error).split())
    kind = type(error).__name__
    return f"{kind}: {text[:300]}" if text else kind
