"""An ASGI app asked by GET in memory: no server, no socket, no lifespan."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

REDIRECTS = 10
SECONDS = 5.0
"""Longest wait for one answer."""


def made(found: Any) -> Any:
    """The ASGI app itself: `found`, or what it returns when it is a factory without arguments.
    Raises TypeError when neither."""
    if not callable(found):
        raise TypeError("not an ASGI app or a factory without arguments")
    wanted = _required(found)
    if isinstance(found, type) or wanted == 0:
        found = found()
    if inspect.isawaitable(found) or not callable(found) or _required(found) not in (1, 3, None):
        raise TypeError("not an ASGI app (a callable of scope, receive and send) or a factory of one")
    return found


def _required(found: Any) -> int | None:
    """How many arguments a call must bring; None when it cannot be told."""
    try:
        parameters = inspect.signature(found).parameters.values()
    except (TypeError, ValueError):
        return None
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters):
        return None
    return sum(1 for p in parameters if p.kind in positional and p.default is inspect.Parameter.empty)


def ask(app: Any, paths: Iterable[str]) -> dict[str, Any]:
    """Path → `{"status", "location"?}`, following redirects on the same host as kubelet does. An app that
    raises has answered 500; one that does not answer in time has `status` None."""
    return asyncio.run(_ask_all(app, list(dict.fromkeys(paths))))


async def _ask_all(app: Any, paths: list[str]) -> dict[str, Any]:
    return {path: await _follow(app, path) for path in paths}


async def _follow(app: Any, path: str) -> dict[str, Any]:
    answer: dict[str, Any] = {}
    url = path
    for _ in range(REDIRECTS):
        try:
            status, location = await asyncio.wait_for(_get(app, url), SECONDS)
        except asyncio.TimeoutError:  # noqa: UP041 - another class before Python 3.11
            return {**answer, "status": None}
        answer["status"] = status
        if status not in (301, 302, 303, 307, 308) or location is None:
            break
        target = urlsplit(urljoin("http://localhost" + url, location))
        answer["location"] = location
        if target.hostname != "localhost":
            break
        url = target.path + ("?" + target.query if target.query else "")
    return answer


async def _get(app: Any, url: str) -> tuple[int, str | None]:
    path, _, query = url.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"localhost"), (b"user-agent", b"kube-probe/1.34"), (b"accept", b"*/*")],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
        "state": {},
    }
    heads: list[Any] = []
    asked = False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if asked:
            await asyncio.sleep(SECONDS)
            return {"type": "http.disconnect"}
        asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            heads.append(message)

    try:
        if _required(app) == 1:
            await app(scope)(receive, send)
        else:
            await app(scope, receive, send)
    # whatever the app raises, a server in front of it would answer 500
    except Exception:
        if not heads:
            return 500, None
    if not heads:
        return 500, None
    names = {bytes(key).lower(): bytes(value).decode("latin-1") for key, value in heads[0].get("headers", ())}
    return int(heads[0]["status"]), names.get(b"location")
