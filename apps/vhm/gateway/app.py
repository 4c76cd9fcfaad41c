"""The gateway's app: routes, authentication, errors."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from litestar import Litestar, Router, asgi
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler
from litestar.middleware.authentication import AbstractAuthenticationMiddleware, AuthenticationResult
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.params import QueryParameter
from litestar.types import Receive, Scope, Send

import vhm
from vhm.gateway.hosts import HostCheck
from vhm.gateway.page.router import create_router
from vhm.gateway.problems import HANDLERS, ProblemError
from vhm.gateway.routes import memories, owners, recall
from vhm.gateway.routes.tools import ToolsEndpoint
from vhm.gateway.services import Services, services_of

MOST_BODY_BYTES = 1_048_576

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def create_app(services: Services | None = None, allowed_hosts: Sequence[str] = ("*",)) -> Litestar:
    """The app; without services its routes can be listed and not called."""
    v1 = Router(
        "/",
        route_handlers=[
            owners.owners,
            Router("/v1/owners/{owner:str}", route_handlers=[memories.ROUTES, recall.recall]),
        ],
        middleware=[_Admission],
        guards=[_known_parameters, _same_origin],
        security=[{"key": []}],
    )
    tools = ToolsEndpoint()

    @asgi("/mcp", middleware=[_Admission], guards=[_same_origin], copy_scope=True)
    async def mcp(scope: Scope, receive: Receive, send: Send) -> None:
        await tools.serve(scope, receive, send)

    @contextlib.asynccontextmanager
    async def life_of_tools(_: Litestar) -> AsyncIterator[None]:
        yield
        await tools.close()

    return Litestar(
        [v1, mcp, create_router(_same_origin)],
        lifespan=[life_of_tools],
        state=State({"services": services}),
        exception_handlers=HANDLERS,
        middleware=[HostCheck(allowed_hosts)],
        request_max_body_size=MOST_BODY_BYTES,
        openapi_config=OpenAPIConfig(
            title="vhm",
            version=vhm.__version__,
            description="Remember, recall, forget.",
            path="/schema",
            render_plugins=[JsonRenderPlugin()],
            components=Components(security_schemes={"key": SecurityScheme(type="http", scheme="bearer")}),
        ),
        logging_config=None,
    )


class _Admission(AbstractAuthenticationMiddleware):
    """Admits requests that have a key, and counts them."""

    async def authenticate_request(
        self, connection: ASGIConnection[Any, Any, Any, Any]
    ) -> AuthenticationResult:
        """See `AbstractAuthenticationMiddleware`. Raises ProblemError."""
        services = services_of(connection)
        address = connection.client.host if connection.client else ""
        principal = services.admit(connection.headers.get("authorization"), address)
        services.charge(principal)
        return AuthenticationResult(user=principal, auth=None)


def _known_parameters(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Refuse query parameters that the route does not have: a misspelt bound must not widen it."""
    known = {
        name
        for name, parameter in handler.parsed_fn_signature.parameters.items()
        if isinstance(parameter.kwarg_definition, QueryParameter)
    }
    unknown = set(connection.query_params) - known
    if unknown:
        faults = [f"{name[:80]}: unknown query parameter" for name in sorted(unknown)]
        raise ProblemError(400, "the request is not valid", faults=faults)


def _same_origin(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Refuse changes that a page of another origin makes in somebody's browser."""
    origin = connection.headers.get("origin")
    if origin is None or connection.scope.get("method") in SAFE_METHODS:
        return
    host = connection.headers.get("host", "")
    if origin.partition("://")[2] != host:
        raise ProblemError(403, f"a page of {origin[:200]} may not do this")
