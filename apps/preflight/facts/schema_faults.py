"""What Kubernetes' schemas refuse of a render."""

from __future__ import annotations

from preflight.cluster.objects import Obj
from preflight.cluster.schemas import SchemaFault, check, find_schemas
from preflight.model import Model, fact


@fact
def schema_faults(model: Model) -> list[tuple[Obj, list[SchemaFault]]]:
    """Each object whose kind has a schema, and its faults; empty where schemas or kubeconform are missing."""
    schemas = find_schemas(model.config.minor)
    if schemas is None:
        return []
    objects = [each for each in model.objects if schemas.knows(each.api_version, each.kind)]
    return list(zip(objects, check(objects, schemas), strict=True))
