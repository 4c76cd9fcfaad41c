"""What Kubernetes' schemas refuse of a render."""

from __future__ import annotations

import os
import re
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache

from preflight.cluster.objects import Obj
from preflight.cluster.schemas import SchemaFault, check, find_schemas
from preflight.model import Model, fact

SET_BY_THE_SERVER = {
    "ClusterRoleBinding": ("apiGroup",),
    "EndpointSlice": ("endpoints",),
    "NetworkPolicy": ("podSelector",),
    "PriorityClass": ("value",),
    "RoleBinding": ("apiGroup",),
}
"""Properties that the schemas require and the API server does not: it has a value for what is absent."""


Faults = list[tuple[Obj, list[SchemaFault]]]


@fact
def schema_faults(model: Model) -> Faults:
    """Each object whose kind has a schema, and its faults; empty where schemas or kubeconform are missing.

    Raises `CheckError` where kubeconform does not do its work.
    """
    return asked(model).result()


@fact
def asked(model: Model) -> Future[Faults]:
    """The answer that kubeconform works on, while the render is looked at by what needs none."""
    return _pool().submit(_found, model)


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    """One for all targets of a run: each kubeconform uses several threads itself."""
    return ThreadPoolExecutor(os.cpu_count())


def _found(model: Model) -> Faults:
    schemas = find_schemas(model.config.minor)
    if schemas is None:
        return []
    objects = [each for each in model.objects if schemas.knows(each.api_version, each.kind)]
    found = zip(objects, check(objects, schemas), strict=True)
    return [(obj, [each for each in faults if not _is_set(obj, each)]) for obj, faults in found]


def _is_set(obj: Obj, fault: SchemaFault) -> bool:
    """Whether all that is missing is what the server sets, or is of a status, which it does not take."""
    if not fault.text.startswith("missing propert") or ";" in fault.text:
        return False
    names = set(re.findall(r"'([^']*)'", fault.text))
    return fault.pointer.startswith("/status") or names <= {*SET_BY_THE_SERVER.get(obj.kind, ())}
