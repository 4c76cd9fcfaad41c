"""The meaning of a failed call to a model provider, embedding or language: one line, without a key.

The one place where an HTTP status gets its meaning. Nothing here imports a provider's library.
"""

from __future__ import annotations

import email.utils
import re
import socket
import time
from collections.abc import Mapping
from enum import Enum
from http import HTTPStatus
from urllib.parse import urlsplit

import msgspec

from vhm.contract.env_loader import Secret

MAX_MESSAGE_CHARACTERS = 160
"""Most characters of a provider's own message that are shown."""

_LOOKS_LIKE_A_KEY = re.compile(r"(?i)bearer\s+\S+|\b[a-z]{2,3}-[\w*-]{8,}")


class FailureKind(Enum):
    """What a failed call says about calling again."""

    UNAVAILABLE = "down, too slow or too busy: the same call may succeed a moment later"
    BAD_ANSWER = "an answer that cannot be used: may pass in a moment, may be due to this input"
    BAD_INPUT = "this input is refused: the same call fails again, another may succeed"
    DECLINED = "the model works and will not answer this"
    DENIED = "no call succeeds until somebody changes a setting"


class ProviderError(Exception):
    """One call to a provider failed. The message is one line and holds no secret.

    `retry_after`: seconds for which the provider asked not to be called, 0 where it did not say.
    """

    def __init__(self, message: str, kind: FailureKind, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_after = retry_after


def bad_answer(what: str) -> ProviderError:
    """The error for a successful response whose content is `what`."""
    return ProviderError(f"an answer that cannot be used: {what}", FailureKind.BAD_ANSWER)


def from_status(
    code: int,
    message: str,
    headers: Mapping[str, str],
    *,
    model: str,
    setting: str,
    key: Secret | None = None,
) -> ProviderError:
    """The error for an HTTP status; `message` is the server's own, `setting` the variable to check.

    `key`, and whatever else looks like a key, is removed from the message. What a server says of a key it
    refused is not shown at all.
    """
    wait = _retry_after(headers)
    message = one_line(_LOOKS_LIKE_A_KEY.sub("***", message.replace(key.reveal(), "***") if key else message))
    detail = f" ({message})" if message else ""
    if code in (401, 403):
        return ProviderError(f"{code}: access denied, check {setting}", FailureKind.DENIED)
    if code == 404:
        return ProviderError(f"404: no model {model!r} there{detail}", FailureKind.DENIED)
    if code == 429:
        again = f", retry after {wait:.0f} s" if wait else ""
        return ProviderError(f"429: over its quota{again}{detail}", FailureKind.UNAVAILABLE, wait)
    return ProviderError(f"{code}: {message or _phrase(code)}", _kind(code), wait)


class _OllamaError(msgspec.Struct):
    error: str


def from_ollama(code: int, body: bytes, headers: Mapping[str, str], *, model: str) -> ProviderError:
    """The error for an HTTP status of Ollama's own API."""
    try:
        message = msgspec.json.decode(body, type=_OllamaError).error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        message = ""
    return from_status(code, message, headers, model=model, setting="OLLAMA_BASE_URL")


def from_openai(
    error: Exception, *, model: str, key: Secret, setting: str, url: str | None = None
) -> ProviderError:
    """The error for an exception of OpenAI's library, or of one that copies its shape."""
    if isinstance(error, ProviderError):
        return error
    code, response = getattr(error, "status_code", None), getattr(error, "response", None)
    if isinstance(code, int) and code >= 400 and response is not None:
        body = getattr(error, "body", None)
        message = body.get("message") if isinstance(body, dict) else None
        text = message if isinstance(message, str) else ""
        return from_status(code, text, response.headers, model=model, setting=setting, key=key)
    if isinstance(error, ValueError | TypeError | AttributeError):
        return bad_answer("not OpenAI's JSON")
    return unreachable(error, url)


def unreachable(error: BaseException, url: str | None = None) -> ProviderError:
    """The error for a failed connection: its innermost cause, and the host of `url`."""
    cause = _innermost(error)
    if isinstance(cause, socket.gaierror):
        why = "no such host"
    elif isinstance(cause, ConnectionRefusedError):
        why = "nothing listens there"
    else:
        why = f"{one_line(str(cause)) or 'failed'} ({type(cause).__name__})"
    parts = urlsplit(url or "")
    host = f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname
    what = f"cannot reach {host}" if host else "cannot be reached"
    return ProviderError(f"{what}: {why}", FailureKind.UNAVAILABLE)


def address(url: str) -> str:
    """A URL fit to be shown: without user, password and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")


def one_line(text: str) -> str:
    """White space as single blanks, cut after MAX_MESSAGE_CHARACTERS."""
    text = " ".join(text.split())
    return text if len(text) <= MAX_MESSAGE_CHARACTERS else text[: MAX_MESSAGE_CHARACTERS - 1] + "…"


def _kind(code: int) -> FailureKind:
    if code in (400, 413, 422):
        return FailureKind.BAD_INPUT
    if code == 500:
        return FailureKind.BAD_ANSWER
    return FailureKind.UNAVAILABLE if code > 500 or code in (408, 409, 425) else FailureKind.DENIED


def _phrase(code: int) -> str:
    known = code in HTTPStatus._value2member_map_
    return HTTPStatus(code).phrase.lower() if known else "failed"


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds in a Retry-After header, which holds a number or an HTTP date; 0 without one."""
    value = headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return 0.0


def _innermost(error: BaseException) -> BaseException:
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error
