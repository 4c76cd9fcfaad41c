"""The names under which the gateway answers: a page that rebinds its own name to ours gets nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from vhm.gateway.problems import ProblemError

ANY = "*"


class HostCheck(ASGIMiddleware):
    """Refuses requests whose Host is none of `allowed`: a name, `*.example.org` for all below it, or `*`."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, allowed: Sequence[str]) -> None:
        self._any = ANY in allowed
        self._names = {name.lower() for name in allowed if not name.startswith("*.")}
        self._endings = tuple(name[1:].lower() for name in allowed if name.startswith("*."))

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """See `ASGIMiddleware`. Raises ProblemError."""
        host = ASGIConnection[Any, Any, Any, Any](scope).headers.get("host", "")
        name = _without_port(host).lower()
        if not (self._any or name in self._names or name.endswith(self._endings or ("\0",))):
            raise ProblemError(421, f"this gateway does not answer for {host[:200]!r}: GATEWAY_ALLOWED_HOSTS")
        await next_app(scope, receive, send)


def _without_port(host: str) -> str:
    if host.startswith("["):  # an IPv6 address
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]
