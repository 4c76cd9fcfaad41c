"""The page's routes, who may use them, and its style and icon."""

from __future__ import annotations

from importlib.resources import files

from litestar import Response, Router, get
from litestar.params import FromPath
from litestar.types import Guard

from vhm.gateway.page import ask, change, look, sign_in, system
from vhm.gateway.page.admission import HANDLERS, SignedIn
from vhm.gateway.page.templates import HEADERS
from vhm.gateway.problems import ProblemError

_STATIC = {"page.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"}


@get("/static/{name:str}")
async def static(name: FromPath[str]) -> Response[bytes]:
    """The style and the icon."""
    if name not in _STATIC:
        raise ProblemError(404, "no such file")
    content = files("vhm.gateway.page").joinpath("static", name).read_bytes()
    cached = HEADERS | {"Cache-Control": "max-age=3600"}
    return Response(content, media_type=_STATIC[name], headers=cached)


def create_router(guard: Guard) -> Router:
    """The page, whose changes pass `guard`."""
    inside = Router(
        "/",
        route_handlers=[
            look.start,
            look.owners,
            look.time_line,
            look.memory,
            ask.ask,
            change.draft,
            change.add,
            change.confirm,
            change.forget,
            system.workers,
        ],
        middleware=[SignedIn],
    )
    return Router(
        "/",
        route_handlers=[inside, static, sign_in.sign_in_form, sign_in.sign_in, sign_in.sign_out],
        guards=[guard],
        exception_handlers=HANDLERS,
        include_in_schema=False,
    )
