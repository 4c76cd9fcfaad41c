"""Signing in with a key, and out."""

from __future__ import annotations

import re
from typing import Any

from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.response import Redirect

from vhm.gateway.page.admission import form_of
from vhm.gateway.page.templates import HEADERS, render
from vhm.gateway.problems import ProblemError
from vhm.gateway.services import services_of
from vhm.gateway.sessions import COOKIE, SESSION_SECONDS

_LOCAL_PATH = re.compile(r"/(?![/\\])[\x21-\x7e]*")
"""An address on this gateway."""


@get("/sign-in")
async def sign_in_form(request: Request[Any, Any, Any]) -> Response[str]:
    """Asks for a key."""
    services_of(request).check_keys()
    return render(request, "sign-in.html", problem=None, fault=None, target="/")


@post("/sign-in")
async def sign_in(request: Request[Any, Any, Any]) -> Response[str] | Redirect:
    """Takes a key, sets a session's cookie, and redirects to the page that was asked for."""
    form = await form_of(request)
    services = services_of(request)
    key = form.get("key", "")
    target = form.get("target", "/")
    target = target if _LOCAL_PATH.fullmatch(target) else "/"
    try:
        services.admit(f"Bearer {key}", request.client.host if request.client else "")
        cookie = services.sessions.begin(key)
    except ProblemError as problem:
        refusal = render(
            request, "sign-in.html", status=problem.status, problem=None, fault=str(problem), target=target
        )
        refusal.headers.update(problem.headers)
        return refusal
    if cookie is None:  # a gateway without keys
        return Redirect(target, status_code=303, headers=HEADERS)
    # the address that the browser sees: a proxy may speak plainly to us
    secure = request.headers.get("origin", "").startswith("https://") or request.url.scheme == "https"
    return Redirect(
        target,
        status_code=303,
        headers=HEADERS,
        cookies=[
            Cookie(
                key=COOKIE,
                value=cookie,
                max_age=SESSION_SECONDS,
                httponly=True,
                secure=secure,
                samesite="strict",
            )
        ],
    )


@post("/sign-out")
async def sign_out(request: Request[Any, Any, Any]) -> Redirect:
    """Deletes the cookie."""
    await form_of(request)
    return Redirect(
        "/sign-in",
        status_code=303,
        headers=HEADERS,
        cookies=[Cookie(key=COOKIE, value="", max_age=0, httponly=True, samesite="strict")],
    )
