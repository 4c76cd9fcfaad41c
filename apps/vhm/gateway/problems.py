"""Why a request was not done, as RFC 9457 has it: from exceptions to answers."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from vhm.client.errors import Refused, TooLarge, Unavailable
from vhm.contract.messages import InvalidMessageError
from vhm.contract.rest import Problem

log = structlog.get_logger("vhm.gateway")

RETRY_SECONDS = 2
"""What a caller is told to wait while the system cannot take its request."""


class ProblemError(Exception):
    """A request that is answered with a problem."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        faults: Sequence[str] = (),
        ids: Sequence[uuid.UUID] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.faults = list(faults)
        self.ids = list(ids)
        self.headers = dict(headers or {})


def too_many(seconds: float, detail: str) -> ProblemError:
    """429: the caller asks for more than it may, until `seconds` from now."""
    return ProblemError(429, detail, headers={"Retry-After": str(max(1, math.ceil(seconds)))})


def _answer(problem: ProblemError) -> Response[Problem]:
    body = Problem(
        title=HTTPStatus(problem.status).phrase,
        status=problem.status,
        detail=str(problem),
        faults=problem.faults,
        ids=problem.ids,
    )
    return Response(
        body, status_code=problem.status, headers=problem.headers, media_type="application/problem+json"
    )


def _of_problem(_: Request[Any, Any, Any], error: ProblemError) -> Response[Problem]:
    return _answer(error)


def _of_invalid(_: Request[Any, Any, Any], error: InvalidMessageError) -> Response[Problem]:
    return _answer(ProblemError(400, "the request is not valid", faults=error.errors))


def _of_refused(_: Request[Any, Any, Any], error: Refused) -> Response[Problem]:
    status = 413 if isinstance(error, TooLarge) else 400
    return _answer(ProblemError(status, "the request is refused", faults=error.faults))


def _of_unavailable(_: Request[Any, Any, Any], error: Unavailable) -> Response[Problem]:
    return _answer(ProblemError(503, str(error), headers={"Retry-After": str(RETRY_SECONDS)}))


def _of_http(_: Request[Any, Any, Any], error: HTTPException) -> Response[Problem]:
    faults: list[str] = []
    if isinstance(error, ValidationException) and isinstance(error.extra, list):
        faults = [f"{fault.get('key', 'request')}: {fault.get('message', '')}" for fault in error.extra]
    detail = "the request is not valid" if faults else error.detail
    return _answer(ProblemError(error.status_code, detail, faults=faults, headers=error.headers))


def _of_defect(_: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    log.error("request failed", exc_info=error)
    return _answer(ProblemError(500, "the gateway failed; its log says why"))


HANDLERS: dict[type[Exception] | int, Any] = {
    ProblemError: _of_problem,
    InvalidMessageError: _of_invalid,
    Refused: _of_refused,
    Unavailable: _of_unavailable,
    HTTPException: _of_http,
    Exception: _of_defect,
}
"""For `Litestar(exception_handlers=…)`; the narrowest type counts."""
