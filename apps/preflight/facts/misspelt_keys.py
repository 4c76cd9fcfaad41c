"""Keys that a generator with `behavior: merge` adds although it was meant to change another."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from preflight.findings import Place
from preflight.model import Model
from preflight.names import near
from preflight.objects import Obj
from preflight.reading import readings


class Slip(msgspec.Struct, frozen=True):
    """A key that the merged base lacks, and the base's key of nearly that name."""

    obj: Obj
    key: str
    meant: str
    place: Place
    certain: bool
    """Whether every container that takes it is known to read nothing of that name."""


@lru_cache(maxsize=4)
def slips(model: Model) -> dict[Place, Slip]:
    """By the line of the generator or env file that writes the key."""
    if model.kustomization is None:
        return {}
    lines = {
        missed.place
        for edit in model.kustomization.edits
        if edit.kind == "generator"
        for missed in edit.missed
    }
    if not lines:
        return {}
    known = {id(reading.container): reading for reading in readings(model)}
    found = {}
    for obj in model.objects_of("ConfigMap", "Secret"):
        keys = obj.mapping("data")
        for key in keys:
            place = obj.where("data", key)
            meant = near(key, keys.keys() - {key}) if place in lines else None
            if meant is None:
                continue
            takers = [c for c in model.containers if any(o.source is obj and o.key == key for o in c.offers)]
            read = any(id(c) in known and known[id(c)].app.variable(key) is not None for c in takers)
            if takers and not read:
                certain = all(id(c) in known for c in takers)
                found[place] = Slip(obj, key, meant, place, certain)
    return found
