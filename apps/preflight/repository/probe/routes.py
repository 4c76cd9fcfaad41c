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
    if inspect.isawaitable(found) or not callable(found) or _required(found) not in (3, None):
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


ADDRESS = "10.244.0.7"
"""The pod's, by which the kubelet asks."""


def ask(app: Any, requests: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The answers to the kubelet's requests (`path`, `port`, `headers`): `status` and, of a redirect,
    `location` and `stays`.

    The Host is the pod's address and port unless the headers name another. Redirects on the same host are
    followed, as the kubelet does. An app that raises has answered 500; one that does not answer in time has
    `status` None.
    """
    return asyncio.run(_ask_all(app, requests))


def adds_routes(app: Any, requests: list[dict[str, Any]], answers: list[dict[str, Any]]) -> list[bool]:
    """Whether an app that answers 404 or 405 may serve the path once it has started, by request: its start
    is tried, and the request made again. True as well where the start does not come to an end here."""
    doubtful = [answer["status"] in (404, 405) for answer in answers]
    if not any(doubtful):
        return doubtful
    later = asyncio.run(_after_start(app, requests))
    return [
        doubt and (later is None or answer["status"] != again["status"])
        for doubt, answer, again in zip(doubtful, answers, later or answers, strict=True)
    ]


async def _after_start(app: Any, requests: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """The answers after the app has started; None where it did not start. An app that knows no lifespan has
    nothing to start."""
    told: list[str] = []
    over = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if not over.is_set():
            return {"type": "lifespan.startup"}
        await asyncio.Event().wait()
        return {"type": "lifespan.shutdown"}

    async def send(message: Any) -> None:
        told.append(message["type"])
        over.set()

    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
    start = asyncio.ensure_future(app(scope, receive, send))
    await asyncio.wait(
        [start, asyncio.ensure_future(over.wait())], timeout=SECONDS, return_when="FIRST_COMPLETED"
    )
    try:
        if told[:1] == ["lifespan.startup.complete"] or (start.done() and not told):
            return await _ask_all(app, requests)
        return None
    finally:
        start.cancel()


async def _ask_all(app: Any, requests: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [await _follow(app, request) for request in requests]


async def _follow(app: Any, request: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {}
    url = request["path"]
    headers = {"host": f"{ADDRESS}:{request['port']}", "user-agent": "kube-probe/1.34", "accept": "*/*"}
    headers |= {name.lower(): value for name, value in request["headers"]}
    for _ in range(REDIRECTS):
        try:
            status, location = await asyncio.wait_for(_get(app, url, headers, request["port"]), SECONDS)
        except asyncio.TimeoutError:  # noqa: UP041 - another class before Python 3.11
            return {**answer, "status": None}
        answer["status"] = status
        if status not in (301, 302, 303, 307, 308) or location is None:
            break
        target = urlsplit(urljoin(f"http://{ADDRESS}:{request['port']}{url}", location))
        answer |= {"location": target.geturl(), "stays": target.hostname == ADDRESS}
        if target.hostname != ADDRESS or target.scheme != "http":
            break
        url = target.path + ("?" + target.query if target.query else "")
    return answer


async def _get(app: Any, url: str, headers: dict[str, str], port: int) -> tuple[int, str | None]:
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
        "headers": [
            (name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers.items()
        ],
        "client": ("10.244.0.1", 40000),
        "server": (ADDRESS, port),
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
        await app(scope, receive, send)
    # whatever the app raises, a server in front of it would answer 500
    except Exception:
        if not heads:
            return 500, None
    if not heads:
        return 500, None
    names = {bytes(key).lower(): bytes(value).decode("latin-1") for key, value in heads[0].get("headers", ())}
    return int(heads[0]["status"]), names.get(b"location")
