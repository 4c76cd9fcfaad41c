"""From exceptions to problem details (RFC 9457)."""

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
"""Retry-After while the system cannot take a request."""


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


def problem_of(error: Exception) -> ProblemError:
    """The problem detail of an exception. A defect is logged."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, InvalidMessageError):
        return ProblemError(400, "the request is not valid", faults=error.errors)
    if isinstance(error, Refused):
        status = 413 if isinstance(error, TooLarge) else 400
        return ProblemError(status, "the request is refused", faults=error.faults)
    if isinstance(error, Unavailable):
        return ProblemError(503, str(error), headers={"Retry-After": str(RETRY_SECONDS)})
    if isinstance(error, HTTPException):
        faults: list[str] = []
        if isinstance(error, ValidationException) and isinstance(error.extra, list):
            faults = [f"{fault.get('key', 'request')}: {fault.get('message', '')}" for fault in error.extra]
        detail = "the request is not valid" if faults else error.detail
        return ProblemError(error.status_code, detail, faults=faults, headers=error.headers)
    log.error("request failed", exc_info=error)
    return ProblemError(500, "the gateway failed; its log says why")


def _answer(_: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    problem = problem_of(error)
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


HANDLERS: dict[type[Exception] | int, Any] = dict.fromkeys(
    (ProblemError, InvalidMessageError, Refused, Unavailable, HTTPException, Exception), _answer
)
"""For `Litestar(exception_handlers=…)`; the narrowest type counts."""
