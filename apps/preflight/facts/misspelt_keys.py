"""Keys that a generator with `behavior: merge` adds although it was meant to change another."""

from __future__ import annotations

import msgspec

from preflight.cluster.objects import Obj
from preflight.facts.settings import container_settings
from preflight.findings import Place
from preflight.model import Model, fact
from preflight.spelling import near


class Misspelling(msgspec.Struct, frozen=True):
    """A key that the merged base lacks, and the base's key of nearly that name."""

    obj: Obj
    key: str
    meant: str
    place: Place
    certain: bool
    """Whether every container that takes it is known to read nothing of that name."""


@fact
def slips(model: Model) -> dict[Place, Misspelling]:
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
    known = container_settings(model)
    found = {}
    for obj in model.objects_of("ConfigMap", "Secret"):
        keys = obj.mapping("data")
        for key in keys:
            place = obj.where("data", key)
            meant = near(key, keys.keys() - {key}) if place in lines else None
            if meant is None:
                continue
            takers = [c for c in model.containers if any(o.source is obj and o.key == key for o in c.offers)]
            read = any(c in known and known[c].reads(key) for c in takers)
            if takers and not read:
                certain = all(c in known for c in takers)
                found[place] = Misspelling(obj, key, meant, place, certain)
    return found
