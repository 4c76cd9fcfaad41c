"""Queries as they are sent to Qdrant's REST interface.

Conditions and formulas are the library's models; what holds vectors is not, since the library takes 0.4 ms to
write three of them and a recall asks with five.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from qdrant_client import models

from vhm.anchors.types import Vector

EXACTLY = models.SearchParams(exact=True)


def numbers(vector: Vector) -> msgspec.Raw:
    """The vector in as many digits as count: cosines by it stay the same to 1e-8, and Qdrant has half as much
    to read."""
    return msgspec.Raw(msgspec.json.encode(np.round(vector.astype(np.float64), 9).tolist()))


class Prefetch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Points whose scores a formula reads. See `models.Prefetch`; what several share is written once."""

    query: msgspec.Raw
    limit: int
    using: str | None = None
    filter: msgspec.Raw | None = None
    params: models.SearchParams | None = None
    score_threshold: float | None = None


class Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Points to be found. See `models.QueryRequest`."""

    limit: int
    query: msgspec.Raw | models.SparseVector | models.FormulaQuery | models.OrderByQuery | None = None
    using: str | None = None
    prefetch: Sequence[Prefetch] = ()
    filter: models.Filter | None = None
    params: models.SearchParams | None = None
    offset: int = 0
    with_payload: bool | list[str] = False
    with_vector: bool | list[str] = False


class _Batch(msgspec.Struct):
    searches: Sequence[Request]


def written(model: Any) -> msgspec.Raw:
    """One of the library's models, for what is sent several times."""
    return msgspec.Raw(model.model_dump_json(exclude_none=True))


_encoder = msgspec.json.Encoder(enc_hook=written)


def batch(requests: Sequence[Request]) -> bytes:
    """Several as the body of one."""
    return _encoder.encode(_Batch(requests))
