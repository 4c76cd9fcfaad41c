"""Access to the page: sessions, CSRF tokens, and errors as pages."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException
from litestar.middleware.authentication import AbstractAuthenticationMiddleware, AuthenticationResult

from vhm.client.errors import Refused, Unavailable
from vhm.gateway.page.templates import render
from vhm.gateway.problems import ProblemError, problem_of
from vhm.gateway.services import services_of
from vhm.gateway.sessions import COOKIE


class SignedIn(AbstractAuthenticationMiddleware):
    """Admits requests that have a session's cookie, and counts them."""

    async def authenticate_request(
        self, connection: ASGIConnection[Any, Any, Any, Any]
    ) -> AuthenticationResult:
        """See `AbstractAuthenticationMiddleware`. Raises ProblemError."""
        services = services_of(connection)
        services.check_keys()
        principal = services.sessions.principal(connection.cookies.get(COOKIE))
        if principal is None:
            raise ProblemError(401, "sign in to see this")
        services.charge(principal)
        return AuthenticationResult(user=principal, auth=None)


async def form_of(request: Request[Any, Any, Any]) -> dict[str, str]:
    """The filled-in fields of a form of this page. Raises ProblemError for a form without its token."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/x-www-form-urlencoded":
        raise ProblemError(415, "expected a form")
    form = await request.form()
    fields = {name: value.strip() for name, value in form.items() if isinstance(value, str)}
    sessions = services_of(request).sessions
    if not sessions.is_token(fields.pop("token", ""), request.cookies.get(COOKIE)):
        raise ProblemError(403, "the form is not of this page, or too old: load it again")
    return {name: value for name, value in fields.items() if value}


def _explain(request: Request[Any, Any, Any], error: Exception) -> Response[str]:
    problem = problem_of(error)
    template = "sign-in.html" if problem.status == 401 and _knows_keys(request) else "problem.html"
    address = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    response = render(
        request,
        template,
        status=problem.status,
        problem=problem,
        fault=None,
        target=address if request.method == "GET" else "/",
    )
    response.headers.update(problem.headers)
    return response


def _knows_keys(request: Request[Any, Any, Any]) -> bool:
    keyring = services_of(request).keyring
    return keyring is not None and len(keyring) > 0


HANDLERS: dict[type[Exception] | int, Any] = dict.fromkeys(
    (ProblemError, Refused, Unavailable, HTTPException, Exception), _explain
)
"""For `Router(exception_handlers=…)`: errors as pages."""
