"""How a call to a provider of models fails, whether it embeds or tells: its words in one line, without a key.

Nothing here imports a provider's library.
"""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

import msgspec

from vhm.contract.env_loader import Secret

_MOST_OF_A_MESSAGE = 160
_KEYS = re.compile(r"(?i)bearer\s+\S+|\b[a-z]{2,3}-[\w*-]{8,}")


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP answer that is an error. `said` is the server's own message, made fit to show; `wait` are
    the seconds it asks to be left alone, 0 where it does not say."""

    code: int
    said: str
    wait: float

    @property
    def line(self) -> str:
        """The code and the message, or what the code is called."""
        known = self.code in HTTPStatus._value2member_map_
        return f"{self.code}: {self.said or (HTTPStatus(self.code).phrase.lower() if known else 'failed')}"


def status(code: int, said: str, headers: Mapping[str, str], key: Secret | None = None) -> Status:
    """What came back, with `key` and whatever looks like one taken out."""
    said = said.replace(key.reveal(), "***") if key else said
    return Status(code=code, said=one_line(_KEYS.sub("***", said)), wait=_retry_after(headers))


def openai_status(error: Exception, key: Secret) -> Status | None:
    """The HTTP error in what OpenAI's library raised, or a library that copies its shape; None if the
    error is of another kind."""
    code, response = getattr(error, "status_code", None), getattr(error, "response", None)
    if not isinstance(code, int) or code < 400 or response is None:
        return None
    body = getattr(error, "body", None)
    said = body.get("message") if isinstance(body, dict) else None
    return status(code, said if isinstance(said, str) else "", response.headers, key)


class _OllamaError(msgspec.Struct):
    error: str


def ollama_status(code: int, body: bytes, headers: Mapping[str, str]) -> Status:
    """An HTTP error of Ollama's."""
    try:
        said = msgspec.json.decode(body, type=_OllamaError).error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        said = ""
    return status(code, said, headers)


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that a Retry-After header asks for, a number or an HTTP date; 0 without one."""
    value = headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return 0.0


def innermost(error: BaseException) -> BaseException:
    """What an error came of in the end: the one that says something."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error


def address(url: str) -> str:
    """A URL as it may be shown: without user, password and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")


def one_line(text: str) -> str:
    """White space run together, cut where it becomes tedious."""
    text = " ".join(text.split())
    return text if len(text) <= _MOST_OF_A_MESSAGE else text[: _MOST_OF_A_MESSAGE - 1] + "…"
