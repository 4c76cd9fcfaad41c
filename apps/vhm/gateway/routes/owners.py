"""The owner that a path names, and whether the caller's key opens that memory."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import PathParameter

from vhm.contract.rest import NO_OWNER, Owners, Problem
from vhm.gateway.problems import ProblemError
from vhm.gateway.services import services_of

OwnerPath = Annotated[
    str,
    PathParameter(
        pattern=r"^(-|[A-Za-z0-9][A-Za-z0-9._@|~+-]{0,199})$(?!\n)",
        description="whose memory it is; `-` is the owner without a name",
    ),
]

RESPONSES = {
    status: ResponseSpec(
        Problem, generate_examples=False, description=description, media_type="application/problem+json"
    )
    for status, description in {
        400: "the request is not valid; every fault is listed",
        401: "no key, or one that is not known",
        403: "the key does not open this memory, or only for reading",
        404: "there is no such memory",
        405: "not a method of this path",
        413: "larger than the broker takes",
        415: "not application/json",
        421: "not a name that this gateway answers to",
        429: "too many requests; Retry-After says when",
        500: "a defect of the gateway",
        503: "the system cannot take it now; Retry-After says when",
    }.items()
}
"""What any route may answer instead of what was asked for."""


@get("/v1/owners", responses=RESPONSES)
async def owners(request: Request[Any, Any, Any]) -> Owners:
    """Who has memories; for keys to every memory alone."""
    if request.user.owner is not None:
        raise ProblemError(403, "the key does not open every memory")
    return Owners(owners=await services_of(request).transport.owners())


def reader_of(request: Request[Any, Any, Any], owner: str) -> str:
    """The owner of a path, if the caller may read its memory. Raises ProblemError."""
    name = "" if owner == NO_OWNER else owner
    if not request.user.may_read(name):
        raise ProblemError(403, "the key does not open this memory")
    return name


def writer_of(request: Request[Any, Any, Any], owner: str) -> str:
    """The owner of a path, if the caller may write its memory. Raises ProblemError."""
    name = reader_of(request, owner)
    if not request.user.may_write(name):
        raise ProblemError(403, "the key is for reading only")
    return name
